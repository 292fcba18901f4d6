"""Tuning on a device: what the exporter builds, timed in turns."""
