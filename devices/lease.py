"""Who measures on a device, and who does so just now."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Owner:
    """Who asks for a lease: a user on a host, with a command."""

    user: str
    host: str
    pid: int
    doing: str

    @classmethod
    def here(cls, doing: str) -> Owner:
        """Return this process as an owner."""
        return cls(getpass.getuser(), socket.gethostname(), os.getpid(), doing)

    def as_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Holder:
    """Who holds a device's lease; `place` is one's own in the queue. An unknown holder did not answer in time."""

    owner: Owner | None
    held_s: float
    silent_s: float
    place: int

    @classmethod
    def from_json(cls, card: Mapping[str, Any]) -> Holder:
        """Return what a holder's card says; what is no card says nothing."""
        try:
            owner = card["owner"]
            return cls(
                Owner(str(owner["user"]), str(owner["host"]), int(owner["pid"]), str(owner["doing"])),
                float(card["held_s"]),
                float(card["silent_s"]),
                int(card["place"]),
            )
        except (KeyError, TypeError, ValueError):
            return cls(None, 0.0, 0.0, 1)

    def __str__(self) -> str:
        if self.owner is None:
            return "somebody whose agent is busy"
        since = f"{self.held_s:.0f} s" if self.held_s < 120 else f"{self.held_s / 60:.0f} min"
        return f"{self.owner.user}@{self.owner.host} ({self.owner.doing}, process {self.owner.pid}) for {since}"
