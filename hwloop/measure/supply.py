"""The thread that makes a device's cells ready, session after session."""

from __future__ import annotations

from hwloop.devices.provision import ProvisionedRuntime
from hwloop.devices.session import DeviceSession
from hwloop.measure.bench import Bench
from hwloop.measure.cells import Cell, CellKey
from hwloop.measure.job import DeviceClock, MeasureJob, Observer
from hwloop.measure.ledger import Ledger
from hwloop.measure.preparing import Preparer, Unbuilt
from hwloop.records import Limits, Measurement, Target


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
        """Make cells ready until there are no more, or the session ends; what is raised goes to the timing thread."""
        error: BaseException | None = None
        try:
            self._supply(session, target, limits)
        except BaseException as raised:  # noqa: BLE001  the timing thread raises it
            error = raised
        self._bench.end_of_cells(error)

    def _supply(self, session: DeviceSession, target: Target, limits: Limits) -> None:
        runtimes: dict[str, ProvisionedRuntime] = {}
        for cell in self._bench.cells:
            self._preparer.bring_back(session, cell)
            self._bench.put_back(cell)
        while (key := self._bench.take()) is not None:
            if key.runtime not in runtimes:
                with self._clock.adding_to("provision_s"):
                    runtimes[key.runtime] = self._preparer.provision(session, self._preparer.runtime(key))
            doing = f"building {self._job.workloads[key.workload].name} for {key.runtime}"
            self._observer.progressed(self._device, doing, self._bench.share_done)
            made = self._preparer.prepare(session, key, runtimes[key.runtime], target, self._bench.equals)
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
