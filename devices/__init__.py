"""Devices: the fleet file, the transports, and what runs on a device."""
