"""Who measures on a device, and who does so just now."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LONGEST_WORDS = 200  # the runner takes no longer ones


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
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # in some containers nobody has a name
            user = str(os.getuid())
        return cls(_short(user), _short(socket.gethostname()), os.getpid(), _short(doing))

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
                Owner(
                    _short(str(owner["user"])),
                    _short(str(owner["host"])),
                    int(owner["pid"]),
                    _short(str(owner["doing"])),
                ),
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


def _short(words: str) -> str:
    """Return words for one line of a terminal, wherever they come from."""
    return "".join(letter if letter.isprintable() else "?" for letter in words[:LONGEST_WORDS])
