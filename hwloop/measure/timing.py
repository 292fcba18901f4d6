"""Timing the cells of a device, process by process, in one session after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device
from hwloop.devices.gates import Gate
from hwloop.devices.jobs import job_request
from hwloop.devices.session import DeviceSession
from hwloop.errors import InfrastructureError
from hwloop.measure.bench import Bench
from hwloop.measure.cells import Cell, CellKey
from hwloop.measure.job import DeviceClock, Observer
from hwloop.measure.ledger import Ledger
from hwloop.measure.quiet import Quiet
from hwloop.records import Evidence, Failure, FailureKind, Limits, ProcessRun, TimingProtocol
from hwloop.store import Store

EVIDENCE_S = 300.0  # the agent may be unpacking meanwhile
STRIKES = 5


class Timing:
    """Times what is on a device's bench; every process is in the store as soon as it ended.

    `progressed` is called whenever one has.
    """

    def __init__(
        self,
        device: Device,
        protocol: TimingProtocol,
        store: Store,
        bench: Bench,
        ledger: Ledger,
        quiet: Quiet,
        observer: Observer,
        clock: DeviceClock,
        progressed: Callable[[], None],
    ) -> None:
        self._device = device
        self._protocol = protocol
        self._store = store
        self._bench = bench
        self._ledger = ledger
        self._quiet = quiet
        self._observer = observer
        self._clock = clock
        self._progressed = progressed
        self._running: Cell | None = None
        self._strikes: Counter[CellKey] = Counter()
        self._gate: Gate | None = None
        self._session: DeviceSession

    def time_all(self, session: DeviceSession, limits: Limits) -> None:
        """Time cells until all are done, or the session is stopped.

        Raises:
            InfrastructureError: the device failed.
            BaseException: whatever making cells ready raised.
        """
        self._session, self._running = session, None
        while True:
            with self._clock.adding_to("idle_s"):
                cell = self._bench.next()
            if cell is None:
                return
            self._time(cell, limits)

    def blame(self, error: InfrastructureError) -> None:
        """Note what ran when a session was lost; a candidate that takes the device down each time is given up."""
        cell, self._running = self._running, None
        if cell is None:
            return
        self._strikes[cell.key] += 1
        if self._strikes[cell.key] >= STRIKES and self._bench.mine(cell.key):
            message = f"the device was lost {STRIKES} times while it ran"
            self._ledger.fail(cell, Failure(FailureKind.CRASH, message, str(error)))
            self._progressed()

    def _time(self, cell: Cell, limits: Limits) -> None:
        emulated = self._device.emulated
        request = job_request(
            cell.artifact,
            cell.folder.digest,
            cell.workload.inputs.digests,
            self._protocol,
            self._bench.budget(cell.key),
            counted=emulated,
            # Counted processes must be equal to the byte, so each of them returns its outputs.
            known_outputs=() if emulated else cell.known_outputs,
            full_speed_ns=cell.full_speed_ns,
        )
        doing = f"{'counting' if emulated else 'timing'} {cell.workload.name} with {cell.key.runtime}"
        self._observer.progressed(self._device.name, doing, self._bench.share_done)
        if self._bench.stopped.is_set():
            return
        zygote = self._session.zygote(cell.key.runtime, cell.runtime_folder)
        with self._undisturbed():
            self._await_calm(limits)
            self._running = cell
            with self._clock.adding_to("job_s"):
                result = zygote.run(request)
        if self._bench.stopped.is_set():
            return
        self._running = None
        if isinstance(result, Failure) and self._may_be_chance(cell.key, result):
            return
        self._strikes[cell.key] = 0
        self._progressed()
        if isinstance(result, Failure):
            self._bench.tell(cell.key, result)
            self._ledger.fail(cell, result)
            done = True
        else:
            done = self._keep(cell, cell.take(self._device.name, result), limits)
        if done:
            self._session.release([cell.folder], cell.blobs)

    def _keep(self, cell: Cell, run: ProcessRun, limits: Limits) -> bool:
        """Store a run; finish its measurement if that was the last one, and return whether it was."""
        self._clock.timed_s += sum(run.samples_ns) / 1e9
        self._clock.warmup_s += sum(run.warmup_ns) / 1e9
        self._store.add_run(cell.measurement_id, run)
        done = self._bench.tell(cell.key, run)
        if done:
            self._ledger.finish(cell, limits)
        return done

    def _may_be_chance(self, key: CellKey, failure: Failure) -> bool:
        """Whether a process is to be run once more: somebody killed it, perhaps not for its memory."""
        if failure.kind is not FailureKind.CRASH or "SIGKILL" not in failure.message:
            return False
        self._strikes[key] += 1
        if self._strikes[key] >= STRIKES:
            return False
        self._bench.retry(key)
        return True

    def _await_calm(self, limits: Limits) -> None:
        """Wait for a real device to be calm, as long as its limits say."""
        if self._device.emulated:
            return
        if self._gate is None:
            self._gate = Gate(
                limits,
                self._evidence,
                lambda words: self._observer.say(f"{self._device.name}: {words}"),
                self._bench.stopped.wait,
                threads=self._protocol.threads,
            )
        with self._clock.adding_to("calm_s"):
            self._gate.await_calm()

    def _evidence(self) -> Evidence:
        return self._session.evidence(Deadline.after(EVIDENCE_S))

    def _undisturbed(self) -> AbstractContextManager[None]:
        """Keep what is timed on this host apart from what makes noise on it."""
        if self._device.emulated:
            return self._quiet.noise()
        return self._quiet.timing() if self._device.on_this_host else nullcontext()
