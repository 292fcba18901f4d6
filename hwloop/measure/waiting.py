"""What a user hears while a device is somebody else's."""

from __future__ import annotations

from collections.abc import Callable

from hwloop.devices.lease import Holder


def told_once(device: str, say: Callable[[str], None]) -> Callable[[Holder], None]:
    """Return what tells of the first holder of a lease, and of each other one after it."""
    told: list[object] = []

    def tell(holder: Holder) -> None:
        if holder.owner not in told:
            told.append(holder.owner)
            say(f"{device}: waiting for {holder}; place {holder.place} in the queue")

    return tell
