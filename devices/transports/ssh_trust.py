"""Asks servers for their host keys and pins those that the user accepts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwloop.deadline import Deadline
from hwloop.devices.fleet import SshDevice
from hwloop.devices.transports.ssh import fetch_host_key
from hwloop.devices.transports.ssh_config import hops_to
from hwloop.devices.trust import PinnedKeys, fingerprint
from hwloop.errors import HostKeyError


@dataclass(frozen=True)
class ShownKey:
    """A key that a server shows. `name` is what it is pinned under; `state` is `new`, `changed` or `pinned`."""

    name: str
    address: str
    key_type: str
    fingerprint: str
    state: str


def trust_device(
    device: str,
    settings: SshDevice,
    accept: Callable[[ShownKey], bool],
    deadline: Deadline,
    *,
    replace: bool = False,
) -> list[ShownKey]:
    """Pin the keys of a device and of the jump hosts before it; return all that were shown.

    `accept` decides on each key that is new, or that has changed if `replace` allows that.

    Raises:
        HostKeyError: a key was not accepted, or has changed and `replace` is not set.
        DeviceError: a server does not answer, or a jump host refuses the login.
    """
    pinned = PinnedKeys()
    hops = hops_to(device, settings)
    seen = []
    for number, hop in enumerate(hops, 1):
        key = fetch_host_key(device, hops[:number], pinned, deadline)
        before = pinned.pinned(hop.name)
        state = "new"
        if before is not None:
            try:
                pinned.check(device, hop.name, key)
                state = "pinned"
            except HostKeyError:
                if not replace:
                    raise
                state = "changed"
        shown = ShownKey(hop.name, hop.address, key.get_name(), fingerprint(key), state)
        if state != "pinned":
            if not accept(shown):
                message = f"the key of {hop.address} was not accepted: {shown.key_type} {shown.fingerprint}"
                raise HostKeyError(device, message, fingerprint=shown.fingerprint, remedy="Nothing was pinned for it.")
            pinned.pin(hop.name, key)
        seen.append(shown)
    return seen
