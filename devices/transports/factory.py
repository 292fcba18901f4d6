"""From a device of the fleet to the transport that reaches it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device, EmulatedDevice, LocalDevice, SshDevice
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.trust import PinnedKeys

if TYPE_CHECKING:
    from hwloop.devices.transports.ssh import Hop

EMULATOR_UP_S = 1800.0


def open_session(device: Device, say: Callable[[str], None], deadline: Deadline | None = None) -> DeviceSession:
    """Connect to a device and return its open session.

    An emulated board is started first; `say` is told what takes long.

    Raises:
        DeviceError: it cannot be reached or used.
        EmulatorError: this host cannot emulate it.
    """
    settings = device.settings
    if isinstance(settings, LocalDevice):
        session = _local(device, settings)
    elif isinstance(settings, EmulatedDevice):
        session = _emulated(device, settings, say)
    else:
        session = _ssh(device, settings)
    try:
        session.open(deadline or Deadline.after(settings.connect_timeout_s))
    except BaseException:
        session.close()
        raise
    return session


def _local(device: Device, settings: LocalDevice) -> DeviceSession:
    from hwloop.devices.transports.local import LocalTransport

    options = SessionOptions(settings.python or sys.executable, settings.cache_dir)
    return DeviceSession(device.name, LocalTransport(device.name), options)


def _emulated(device: Device, settings: EmulatedDevice, say: Callable[[str], None]) -> DeviceSession:
    from hwloop.devices import emulator
    from hwloop.devices.transports.ssh import Hop, SshTransport

    endpoint = emulator.up(settings.board, Deadline.after(EMULATOR_UP_S), say)
    hop = Hop(device.name, endpoint.host, endpoint.port, endpoint.user, (endpoint.key_file,), use_agent=False)
    pinned = PinnedKeys(given={device.name: " ".join(endpoint.host_key.split()[:2])})
    options = SessionOptions(settings.python, settings.cache_dir, endpoint.counted_prefix)
    return DeviceSession(device.name, SshTransport(device.name, [hop], pinned), options)


def _ssh(device: Device, settings: SshDevice) -> DeviceSession:
    from hwloop.devices.transports.ssh import SshTransport

    transport = SshTransport(device.name, hops_to(device.name, settings), PinnedKeys())
    return DeviceSession(device.name, transport, SessionOptions(settings.python, settings.cache_dir))


def hops_to(name: str, settings: SshDevice) -> list[Hop]:
    """Return the servers on the way to a device: the jump hosts of `jump` or of ~/.ssh/config, then itself."""
    from hwloop.devices.transports.ssh import Hop
    from hwloop.devices.transports.ssh_config import SshConfig

    config = SshConfig.load()

    def hop(pinned_as: str, host: str, user: str, port: int, key_file: str) -> Hop:
        entry = config.entry(host)
        keys = (Path(key_file).expanduser(),) if key_file else entry.key_files
        return Hop(
            name=pinned_as,
            host=entry.host,
            port=port or entry.port,
            user=user or entry.user or getpass.getuser(),
            key_files=keys,
            use_agent=not entry.identities_only,
        )

    road = []
    for word in (settings.jump or config.entry(settings.host).jump).split(","):
        if word.strip():
            user, _, rest = word.strip().rpartition("@")
            host, _, port = rest.partition(":")
            road.append(hop(rest, host, user, int(port or 0), ""))
    return [*road, hop(name, settings.host, settings.user, settings.port, settings.key_file)]
