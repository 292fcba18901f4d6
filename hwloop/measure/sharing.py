"""Cells that equal devices share: one of them measures each, and idle ones take over what others have not begun."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


@dataclass
class _Group(Generic[C]):
    """The cells of one kind of device: which are free, and who has taken or begun the others that are not done."""

    free: deque[C]
    total: int
    members: list[str] = field(default_factory=list)
    owner: dict[C, str] = field(default_factory=dict)
    begun: set[C] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    identities: dict[str, str] = field(default_factory=dict)
    done: int = 0


class Sharing(Generic[C]):
    """Who measures what; threads of several devices use it at once.

    A device meets the others when its kind is known, joins them once it may be used, takes cells one by one, begins
    each before it runs, and says when it is done. A device of a kind of its own gets all cells. `expected` are those
    that will meet, or be missed.
    """

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._groups: dict[str, _Group[C]] = {}
        self._expected = set(expected)

    def meet(self, kind: str, device: str, identity: str, cells: Iterable[C]) -> None:
        """Make a device known to the others of its kind; all of a kind have the same cells."""
        with self._lock:
            group = self._groups.get(kind)
            if group is None:
                free = deque(cells)
                group = self._groups[kind] = _Group(free, len(free))
            group.identities[device] = identity
            self._expected.discard(device)

    def miss(self, device: str) -> None:
        """Say that a device is not to be waited for."""
        with self._lock:
            self._expected.discard(device)

    @property
    def all_met(self) -> bool:
        """Whether every device that was expected has met the others, or is missed."""
        with self._lock:
            return not self._expected

    def equals(self, kind: str) -> list[tuple[str, str]]:
        """Return names and identities of the devices of a kind that have met."""
        with self._lock:
            return list(self._groups[kind].identities.items())

    def join(self, kind: str, device: str) -> None:
        """Let a device that has met its kind take cells; or bring it back to that."""
        with self._lock:
            group = self._groups[kind]
            group.lost.discard(device)
            if device not in group.members:
                group.members.append(device)

    def take(self, kind: str, device: str) -> C | None:
        """Return a cell that nobody has, else one that a busy device has not begun, or that a lost one had; or None."""
        with self._lock:
            group = self._groups[kind]
            if group.free:
                cell = group.free.popleft()
            else:
                waiting = [cell for cell in group.owner if self._stealable(group, cell, device)]
                if not waiting:
                    return None
                cell = waiting[-1]
            group.owner[cell] = device
            group.begun.discard(cell)
            return cell

    def begin(self, kind: str, device: str, cell: C) -> bool:
        """Return whether a cell is still this device's, and keep others from taking it."""
        with self._lock:
            group = self._groups[kind]
            if group.owner.get(cell) != device:
                return False
            group.begun.add(cell)
            return True

    def lose(self, kind: str, device: str) -> None:
        """Note that a device cannot be reached just now: others may take what it has."""
        with self._lock:
            self._groups[kind].lost.add(device)

    def finish(self, kind: str, cell: C) -> None:
        """Note that a cell is measured, or can never be."""
        with self._lock:
            group = self._groups[kind]
            if group.owner.pop(cell, None) is not None:
                group.begun.discard(cell)
                group.done += 1

    def leave(self, kind: str, device: str) -> None:
        """Take a device out; what it has not finished is anybody's."""
        with self._lock:
            group = self._groups[kind]
            if device in group.members:
                group.members.remove(device)
            for cell in [cell for cell, owner in group.owner.items() if owner == device]:
                del group.owner[cell]
                group.begun.discard(cell)
                group.free.append(cell)

    def over(self, kind: str) -> bool:
        """Whether all cells of a kind are done."""
        with self._lock:
            group = self._groups[kind]
            return group.done == group.total

    def share_done(self, kind: str) -> float:
        """Return how much of a kind's cells is done, from 0 to 1."""
        with self._lock:
            group = self._groups[kind]
            return group.done / group.total if group.total else 1.0

    @staticmethod
    def _stealable(group: _Group[C], cell: C, device: str) -> bool:
        owner = group.owner[cell]
        if owner == device:
            return False
        if owner in group.lost:
            return True
        # An idle owner is about to begin it: two idle devices would take it from each other for ever.
        busy = any(group.owner[one] == owner for one in group.begun)
        return busy and cell not in group.begun
