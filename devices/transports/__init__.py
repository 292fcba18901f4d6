"""Transports: `local`, `ssh`, `emulated`, and a fake with faults to inject."""
