"""From a model to what is pushed to a device: reading, inputs, references, builds for each runtime."""
