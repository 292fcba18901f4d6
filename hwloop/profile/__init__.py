"""A profiling run: models on one device, kernel by kernel, with every runtime that can tell."""
