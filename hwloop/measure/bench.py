"""The cells that one device has at hand: some threads make them ready while another one times them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hwloop.deadline import Deadline
from hwloop.measure.cells import Cell, CellKey
from hwloop.measure.sharing import Sharing
from hwloop.records import Failure, ProcessBudget, ProcessRun, TimingProtocol
from hwloop.schedule import Schedule

LOOK_S = 0.1  # between two looks for what other devices leave
READY_CHECK_S = 0.5
AHEAD = 2
MEETING_S = 10.0


class Bench:
    """The cells of one device, over all of its sessions.

    In each session some threads take keys, make cells of them and put them here, and another one asks for the next
    cell to be timed. `shares` is whether the device shares them with those that equal it.
    """

    def __init__(
        self, device: str, protocol: TimingProtocol, sharing: Sharing[CellKey], *, emulated: bool, shares: bool
    ) -> None:
        self.stopped = threading.Event()  # for this session
        self._device = device
        self._sharing = sharing
        self._shares = shares
        self._schedule: Schedule[CellKey] = Schedule(protocol, emulated=emulated)
        self._cells: dict[CellKey, Cell] = {}
        self._changed = threading.Condition()
        self._half_made: list[CellKey] = []  # when the last session was lost
        self._complete = False
        self._error: BaseException | None = None
        self._kind = ""
        self._meeting = Deadline.after(MEETING_S)

    # ── sessions ──

    def begin_session(self) -> None:
        """Start anew after a session was lost; cells keep their runs, and must be put back."""
        with self._changed:
            self._schedule.suspend()
            self._half_made = [key for key in self._schedule.open_cells if key not in self._cells]
            self._complete, self._error = False, None
            self.stopped.clear()

    def stop(self) -> None:
        """End the session, from any thread: nobody gets a cell any more."""
        self.stopped.set()
        with self._changed:
            self._changed.notify_all()

    def meet(self, kind: str, identity: str, keys: Sequence[CellKey]) -> None:
        """Make the device known to those of its kind."""
        if not self._kind:
            self._kind, self._meeting = kind, Deadline.after(MEETING_S)
            self._sharing.meet(kind, self._device, identity, keys)

    def join(self) -> None:
        """Begin to take cells, or come back to that."""
        self._sharing.join(self._kind, self._device)

    def lose(self) -> None:
        """Let equal devices take what is here while the device cannot be reached."""
        self._sharing.miss(self._device)
        if self._kind:
            self._sharing.lose(self._kind, self._device)

    def leave(self) -> None:
        """Leave what is not done to equal devices for good."""
        self._sharing.miss(self._device)
        if self._kind:
            self._sharing.leave(self._kind, self._device)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, here or on equal devices."""
        return bool(self._kind) and self._sharing.over(self._kind)

    @property
    def equals(self) -> list[tuple[str, str]]:
        """Return name and identity of the devices that equal this one, itself first."""
        return sorted(self._sharing.equals(self._kind), key=lambda one: one[0] != self._device)

    @property
    def share_done(self) -> float:
        """Return how much is done, from 0 to 1."""
        if self._shares and self._kind:
            return self._sharing.share_done(self._kind)
        with self._changed:
            return self._schedule.share_done

    # ── making cells ready ──

    def take(self) -> CellKey | None:
        """Return the next key to make a cell of, when there is one; None at the end of all or of the session."""
        with self._changed:
            if self._half_made:
                return self._half_made.pop(0)
        # What equal devices have measured before is not measured again, so they are awaited.
        while self._shares and not (self._sharing.all_met or self._meeting.expired or self.stopped.is_set()):
            self.stopped.wait(LOOK_S)
        while not (self.stopped.is_set() or self.over):
            key = None if self._has_enough() else self._sharing.take(self._kind, self._device)
            if key is None and not self._shares:
                return None
            if key is None:
                self.stopped.wait(LOOK_S)
            elif self._add(key):
                return key
        return None

    def put(self, cell: Cell) -> bool:
        """Add a cell that is ready; return whether its runs from before are all that it needs."""
        with self._changed:
            self._cells[cell.key] = cell
            self._schedule.ready(cell.key, cell.runs)
            self._changed.notify_all()
            return self._schedule.is_closed(cell.key)

    def put_back(self, cell: Cell) -> None:
        """Say that a cell of a former session is ready again."""
        with self._changed:
            self._schedule.ready(cell.key)
            self._changed.notify_all()

    def end_of_cells(self, error: BaseException | None = None) -> None:
        """Say that no more cells will be ready in this session: all are, or `error` came between."""
        with self._changed:
            self._complete, self._error = error is None, error
            self._changed.notify_all()

    @property
    def cells(self) -> list[Cell]:
        """Return what was put here and is not done."""
        with self._changed:
            return list(self._cells.values())

    # ── timing ──

    def next(self) -> Cell | None:
        """Return the next cell to be timed, waiting for one to get ready; None when all are done or the session ends.

        Raises:
            BaseException: whatever making cells ready raised.
        """
        with self._changed:
            while not (self.stopped.is_set() or self._error or (self._complete and self._schedule.done)):
                key = self._schedule.next()
                if key is None:
                    self._changed.wait(READY_CHECK_S)
                elif self.mine(key):
                    return self._cells[key]
                else:
                    self.drop(key)
            if self._error:
                raise self._error
        return None

    def mine(self, key: CellKey) -> bool:
        """Whether a cell is still this device's; then no equal one takes it any more."""
        return self._sharing.begin(self._kind, self._device, key)

    def drop(self, key: CellKey) -> None:
        """Forget a cell that an equal device has now."""
        with self._changed:
            self._schedule.remove(key)
            self._cells.pop(key, None)
            self._changed.notify_all()

    def budget(self, key: CellKey) -> ProcessBudget:
        """Return what a cell's next process may spend."""
        with self._changed:
            return self._schedule.budget(key)

    def tell(self, key: CellKey, outcome: ProcessRun | Failure) -> bool:
        """Say what came of a cell's process; return whether it needs no more of them."""
        with self._changed:
            if isinstance(outcome, Failure):
                self._schedule.close(key)
            else:
                self._schedule.tell(key, outcome)
            return self._schedule.is_closed(key)

    def retry(self, key: CellKey) -> None:
        """Say that nothing came of a cell's process; it will be run again."""
        with self._changed:
            self._schedule.retry(key)

    def settle(self, key: CellKey) -> None:
        """Note that a cell is measured, or can never be."""
        with self._changed:
            self._schedule.close(key)
            self._cells.pop(key, None)
            self._changed.notify_all()
        self._sharing.finish(self._kind, key)

    # ── small things ──

    def _add(self, key: CellKey) -> bool:
        """Plan a cell; False where it is here already: the device had it, and got it back from another one."""
        with self._changed:
            if not self._schedule.knows(key):
                self._schedule.add(key, ready=False)
            return key not in self._cells

    def _has_enough(self) -> bool:
        """Whether a device that shares has cells at hand; the more it took, the less could others do."""
        with self._changed:
            return self._shares and len(self._schedule.open_cells) >= AHEAD
