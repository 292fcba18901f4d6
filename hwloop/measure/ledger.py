"""What becomes of a device's cells: judged, stored, told, each of them once."""

from __future__ import annotations

from collections.abc import Sequence

from hwloop.devices.fleet import Device
from hwloop.measure.bench import Bench
from hwloop.measure.cells import Cell, CellKey
from hwloop.measure.job import Observer
from hwloop.measure.workload import named
from hwloop.records import Failure, Limits, Measurement, ProcessRun, Subject, TimingProtocol, Verdict
from hwloop.stats import summarise
from hwloop.store import Store
from hwloop.verdict import verdict_of


def finish(
    store: Store,
    measurement_id: str,
    runs: Sequence[ProcessRun],
    protocol: TimingProtocol,
    limits: Limits,
    *,
    emulated: bool,
) -> Measurement:
    """Judge a measurement that has all of its runs, and close it in the store."""
    summary = summarise(runs, emulated)
    verdict, reasons = verdict_of(runs, summary, protocol, limits, emulated=emulated)
    return store.finish(measurement_id, verdict, reasons, summary, limits=limits)


def finish_failed(
    store: Store, measurement_id: str, runs: Sequence[ProcessRun], failure: Failure, *, emulated: bool
) -> Measurement:
    """Close a measurement that failed on the device in the store."""
    reasons = (f"{failure.kind.value}: {failure.message}",)
    return store.finish(measurement_id, Verdict.FAILED, reasons, summarise(runs, emulated), failure)


class Ledger:
    """The measurements of one device in one run, under the names that its workloads have in this run."""

    def __init__(
        self,
        device: Device,
        protocol: TimingProtocol,
        store: Store,
        bench: Bench,
        observer: Observer,
        names: Sequence[str],
    ) -> None:
        self.found: list[Measurement] = []
        self._names = names
        self._device = device
        self._protocol = protocol
        self._store = store
        self._bench = bench
        self._observer = observer

    def finish(self, cell: Cell, limits: Limits) -> None:
        """Judge and store a cell that has all of its runs."""
        emulated = self._device.emulated
        self.keep(
            cell.key, finish(self._store, cell.measurement_id, cell.runs, self._protocol, limits, emulated=emulated)
        )

    def fail(self, cell: Cell, failure: Failure) -> None:
        """Store a cell that failed on the device."""
        emulated = self._device.emulated
        self.keep(cell.key, finish_failed(self._store, cell.measurement_id, cell.runs, failure, emulated=emulated))

    def fail_unbuilt(self, key: CellKey, subject: Subject, failure: Failure) -> None:
        """Store a cell that could not be built."""
        self.keep(key, self._store.add_failure(subject, failure))

    def keep(self, key: CellKey, measurement: Measurement, *, reused: bool = False) -> None:
        """Note a measurement that is in the store, perhaps from before and under another name."""
        measurement = named(measurement, self._names[key.workload])
        self.found.append(measurement)
        self._bench.settle(key)
        self._observer.finished(measurement, reused)
        self._observer.progressed(self._device.name, "", self._bench.share_done)
