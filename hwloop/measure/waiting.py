"""Taking a device's lease, and what a user hears while it is somebody else's."""

from __future__ import annotations

import time
from collections.abc import Callable

from hwloop.deadline import Deadline
from hwloop.devices.lease import Holder, Owner
from hwloop.devices.session import DeviceSession
from hwloop.measure.recovery import Patience

LEASE_WAIT_S = 24 * 3600.0


def take_lease(
    session: DeviceSession, doing: str, patience: Patience, tell: Callable[[Holder], None], *, wait: bool
) -> None:
    """Take a device's lease, waiting for it up to a day; `tell` hears who holds it.

    Raises:
        DeviceBusy: somebody else holds it, and it is not to be waited for, or not any longer.
    """
    started = time.monotonic()
    session.lease(Owner.here(doing), Deadline.after(LEASE_WAIT_S), wait=wait, told=tell)
    patience.waited(time.monotonic() - started)


def told_once(device: str, say: Callable[[str], None]) -> Callable[[Holder], None]:
    """Return what tells of the first holder of a lease, and of each other one after it."""
    told: list[object] = []

    def tell(holder: Holder) -> None:
        if holder.owner not in told:
            told.append(holder.owner)
            say(f"{device}: waiting for {holder}; place {holder.place} in the queue")

    return tell
