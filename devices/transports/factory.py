"""From a device of the fleet to the transport that reaches it, and to an open session."""

from __future__ import annotations

import sys
from collections.abc import Callable

from hwloop.deadline import Deadline
from hwloop.devices.fleet import BundleDevice, Device, EmulatedDevice, LocalDevice
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.base import Transport
from hwloop.devices.transports.local import LocalTransport
from hwloop.devices.trust import PinnedKeys
from hwloop.errors import UsageError


def open_transport(device: Device, say: Callable[[str], None], deadline: Deadline | None = None) -> Transport:
    """Connect to a device; an emulated board is started first, and `say` is told what takes long.

    Without a deadline it is the device's `connect_timeout_s`, and half an hour for a board that may have to be
    built first.

    Raises:
        DeviceError: it cannot be reached.
        EmulatorError: this host cannot emulate it.
        UsageError: ~/.ssh/config cannot be used, or no connection reaches this device.
    """
    settings = device.settings
    if isinstance(settings, BundleDevice):
        raise UsageError(
            f"device {device.name}: no connection reaches it; jobs are carried to it (`transport: bundle`)",
            remedy=f"`hwloop measure MODEL -d {device.name}` writes one; docs/offline.md tells the rest.",
        )
    limit_s = settings.connect_timeout_s
    transport: Transport
    # paramiko takes a while to import, and a local device needs none.
    if isinstance(settings, LocalDevice):
        transport = LocalTransport(device.name)
    elif isinstance(settings, EmulatedDevice):
        from hwloop.devices.transports.emulated import FIRST_BUILD_S, EmulatedTransport

        transport = EmulatedTransport(device.name, settings.board, say)
        limit_s = FIRST_BUILD_S
    else:
        from hwloop.devices.transports.ssh import SshTransport
        from hwloop.devices.transports.ssh_config import hops_to

        transport = SshTransport(device.name, hops_to(device.name, settings), PinnedKeys())
    try:
        transport.open(deadline or Deadline.after(limit_s))
    except BaseException:
        transport.close()
        raise
    return transport


def open_session(device: Device, say: Callable[[str], None], deadline: Deadline | None = None) -> DeviceSession:
    """Connect to a device and return its open session; arguments and errors as for `open_transport`.

    Raises:
        DeviceUnsuited: the device has no Python, or one too old.
    """
    transport = open_transport(device, say, deadline)
    settings = device.settings
    counted_prefix: tuple[str, ...] = ()
    if device.emulated:
        from hwloop.devices.transports.emulated import EmulatedTransport

        assert isinstance(transport, EmulatedTransport)
        counted_prefix = transport.counted_prefix
    python = settings.python or sys.executable
    options = SessionOptions(python, settings.cache_dir, counted_prefix, settings.cache_limit_bytes)
    session = DeviceSession(device.name, transport, options)
    try:
        session.open(deadline or Deadline.after(settings.connect_timeout_s))
    except BaseException:
        session.close()
        raise
    return session
