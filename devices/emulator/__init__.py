"""Emulated boards: real OpenSSH servers in an arm64 root file system, under QEMU, that count instructions."""

from hwloop.devices.emulator.emulator import BoardStatus, Endpoint, down, status, up

__all__ = ["BoardStatus", "Endpoint", "down", "status", "up"]
