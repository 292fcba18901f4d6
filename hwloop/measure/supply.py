"""The threads that make a device's cells ready, session after session."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from hwloop.devices.provision import ProvisionedRuntime
from hwloop.devices.session import DeviceSession
from hwloop.measure.bench import Bench
from hwloop.measure.cells import Cell, CellKey
from hwloop.measure.job import DeviceClock, MeasureJob, Observer
from hwloop.measure.ledger import Ledger
from hwloop.measure.preparing import Preparer, Unbuilt
from hwloop.records import Limits, Measurement, Target

BUILDERS = len(os.sched_getaffinity(0))


class Supply:
    """Takes what the device is to measure, and puts it on its bench when it is ready."""

    def __init__(
        self,
        device: str,
        job: MeasureJob,
        preparer: Preparer,
        bench: Bench,
        ledger: Ledger,
        observer: Observer,
        clock: DeviceClock,
    ) -> None:
        self._device = device
        self._job = job
        self._preparer = preparer
        self._bench = bench
        self._ledger = ledger
        self._observer = observer
        self._clock = clock

    def run(self, session: DeviceSession, target: Target, limits: Limits) -> None:
        """Make cells ready, several at once, until there are no more, or the session ends."""
        runtimes = _Provisioned(session, self._preparer, self._clock)
        supply = partial(self._supply, session, target, limits, runtimes)
        if not self._told(partial(self._bring_back, session)):
            return
        with ThreadPoolExecutor(BUILDERS, thread_name_prefix=f"build-{self._device}") as pool:
            workers = [pool.submit(self._told, supply) for _ in range(BUILDERS)]
        if all(worker.result() for worker in workers):
            self._bench.end_of_cells()

    def _told(self, task: Callable[[], None]) -> bool:
        """Run a task; the timing thread gets what it raises, at once. Return whether that was nothing."""
        try:
            task()
        except BaseException as error:  # noqa: BLE001  the timing thread raises it
            self._bench.end_of_cells(error)
            return False
        return True

    def _bring_back(self, session: DeviceSession) -> None:
        """Put back what a former session had."""
        for cell in self._bench.cells:
            self._preparer.bring_back(session, cell)
            self._bench.put_back(cell)

    def _supply(self, session: DeviceSession, target: Target, limits: Limits, runtimes: _Provisioned) -> None:
        while (key := self._bench.take()) is not None:
            provisioned = runtimes.get(key)
            doing = f"building {self._job.workloads[key.workload].name} for {key.runtime}"
            self._observer.progressed(self._device, doing, self._bench.share_done)
            made = self._preparer.prepare(session, key, provisioned, target, self._bench.equals)
            self._take_in(key, made, limits)

    def _take_in(self, key: CellKey, made: Cell | Measurement | Unbuilt, limits: Limits) -> None:
        """Put a cell on the bench, or settle what needs no timing, unless an equal device has taken it over."""
        if isinstance(made, Cell) and not self._bench.put(made):
            return
        if not self._bench.mine(key):
            self._bench.drop(key)
        elif isinstance(made, Cell):
            self._ledger.finish(made, limits)
        elif isinstance(made, Unbuilt):
            self._ledger.fail_unbuilt(key, made.subject, made.failure)
        else:
            self._ledger.keep(key, made, reused=True)


class _Provisioned:
    """The runtimes of one session, each brought to the device when the first cell needs it."""

    def __init__(self, session: DeviceSession, preparer: Preparer, clock: DeviceClock) -> None:
        self._session = session
        self._preparer = preparer
        self._clock = clock
        self._runtimes: dict[str, ProvisionedRuntime] = {}
        self._lock = threading.Lock()

    def get(self, key: CellKey) -> ProvisionedRuntime:
        """Return a cell's runtime."""
        with self._lock:
            if key.runtime not in self._runtimes:
                with self._clock.adding_to("provision_s"):
                    self._runtimes[key.runtime] = self._preparer.provision(self._session, self._preparer.runtime(key))
            return self._runtimes[key.runtime]
