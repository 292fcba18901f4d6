"""Which process a device runs next: rounds in shuffled order, until each cell's stop rule holds.

A pure state machine: it knows neither sockets nor clocks. The caller asks `next`, runs one process with that
cell's `budget`, and tells what came of it.

    while (cell := schedule.next()) is not None:
        schedule.tell(cell, run_process(cell, schedule.budget(cell)))
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from hwloop.intervals import median_interval
from hwloop.records.protocol import ProcessBudget

if TYPE_CHECKING:
    from hwloop.records import TimingProtocol

C = TypeVar("C", bound=Hashable)

MOST_PROCESSES = 4  # times the processes asked: a tiny model must not start thousands to fill its seconds
NEARLY = 0.95  # a cap counts as reached at this share: no process is started for the last crumbs


class Timed(Protocol):
    """What a process timed, in nanoseconds; a `ProcessRun`, or less of it where that is not known."""

    @property
    def samples_ns(self) -> Sequence[int]:
        """The timed calls, in order."""


@dataclass
class _State:
    ready: bool
    closed: bool = False
    runs: list[Timed] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0

    def take(self, run: Timed) -> None:
        self.runs.append(run)
        self.calls += len(run.samples_ns)
        self.seconds += sum(run.samples_ns) / 1e9


class Schedule(Generic[C]):
    """The order of the processes of one device; equal seeds and answers give equal orders.

    In each round every open cell that is ready runs once, in a freshly shuffled order. A cell closes after
    `processes` rounds once it has `min_calls` calls and a median interval as narrow as asked, or at a cap:
    `max_calls`, `seconds` of timed calls, or four times `processes`. On an emulated device it closes after
    exactly `processes`. One that failed is closed by `close`.
    """

    def __init__(self, protocol: TimingProtocol, *, emulated: bool = False) -> None:
        self._protocol = protocol
        self._emulated = emulated
        self._random = random.Random(protocol.seed)
        self._cells: dict[C, _State] = {}
        self._round: list[C] = []
        self._running: set[C] = set()

    def add(self, cell: C, runs: Iterable[Timed] = (), *, ready: bool = True) -> None:
        """Add a cell with the runs that it has from before; it may be closed by them already.

        Raises:
            ValueError: the cell is there already.
        """
        if cell in self._cells:
            raise ValueError(f"the cell {cell!r} is scheduled already")
        self._cells[cell] = _State(ready)
        self._resume(cell, runs)

    def ready(self, cell: C, runs: Iterable[Timed] = ()) -> None:
        """Say that a cell added with `ready=False` can be run, and which runs it has from before."""
        self._cells[cell].ready = True
        self._resume(cell, runs)

    def suspend(self) -> None:
        """Say that nothing is ready and nothing runs any more; `ready` brings each open cell back."""
        self._running.clear()
        for state in self._cells.values():
            state.ready = False

    def next(self) -> C | None:
        """Return the cell whose process is next; None when none is ready, or all are closed."""
        for fresh in (False, True):
            if fresh:
                self._round = [cell for cell in self._cells if self._runnable(cell)]
                self._random.shuffle(self._round)
            while self._round:
                cell = self._round.pop()
                if self._runnable(cell):
                    self._running.add(cell)
                    return cell
        return None

    def tell(self, cell: C, run: Timed) -> None:
        """Say what a cell's process measured; of one that failed the cell is closed instead."""
        self._running.discard(cell)
        state = self._cells[cell]
        state.take(run)
        state.closed = self._complete(state)

    def retry(self, cell: C) -> None:
        """Say that nothing came of a cell's process; it will be run again."""
        self._running.discard(cell)

    def close(self, cell: C) -> None:
        """Give a cell up; it is not run again."""
        self._running.discard(cell)
        self._cells[cell].closed = True

    def remove(self, cell: C) -> None:
        """Forget a cell; it can be added again."""
        self._running.discard(cell)
        del self._cells[cell]

    def is_closed(self, cell: C) -> bool:
        """Whether a cell needs no more processes."""
        return self._cells[cell].closed

    def knows(self, cell: C) -> bool:
        """Whether a cell was added."""
        return cell in self._cells

    @property
    def open_cells(self) -> list[C]:
        """Return the cells that are not closed."""
        return [cell for cell, state in self._cells.items() if not state.closed]

    @property
    def done(self) -> bool:
        """Whether every cell is closed."""
        return all(state.closed for state in self._cells.values())

    @property
    def share_done(self) -> float:
        """Return how much is done, from 0 to 1: closed cells count whole, others by their processes."""
        if not self._cells:
            return 1.0
        return sum(map(self._share, self._cells.values())) / len(self._cells)

    def budget(self, cell: C) -> ProcessBudget:
        """Return what the cell's next process may spend: its part of what is left.

        A process owes its part of `min_calls`, then ends on its own when its median is known well enough.
        Zero seconds allow one call.
        """
        protocol, state = self._protocol, self._cells[cell]
        owed = max(1, protocol.processes - len(state.runs))
        fair_share = protocol.seconds / protocol.processes
        return ProcessBudget(
            seconds=min(fair_share, max(0.0, protocol.seconds - state.seconds) / owed),
            min_calls=math.ceil(protocol.min_calls / protocol.processes),
            max_calls=max(1, (protocol.max_calls - state.calls) // owed),
        )

    def _resume(self, cell: C, runs: Iterable[Timed]) -> None:
        state = self._cells[cell]
        for run in runs:
            state.take(run)
        state.closed = state.closed or self._complete(state)

    def _runnable(self, cell: C) -> bool:
        state = self._cells.get(cell)
        if state is None:
            return False
        return state.ready and not state.closed and cell not in self._running

    def _share(self, state: _State) -> float:
        if state.closed:
            return 1.0
        return min(0.95, len(state.runs) / self._protocol.processes)

    def _complete(self, state: _State) -> bool:
        protocol, processes = self._protocol, len(state.runs)
        if self._emulated or processes >= MOST_PROCESSES * protocol.processes:
            return processes >= protocol.processes
        if sum(bool(run.samples_ns) for run in state.runs) < protocol.processes:
            return False
        return (
            state.calls >= protocol.max_calls
            or state.seconds >= NEARLY * protocol.seconds
            or (state.calls >= protocol.min_calls and self._narrow(state))
        )

    def _narrow(self, state: _State) -> bool:
        interval = median_interval([run.samples_ns for run in state.runs])
        return interval is not None and interval.relative_width <= self._protocol.relative_width
