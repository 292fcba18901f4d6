"""Everything that one device measures: a thread makes cells ready while another times those that are."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices import quarantine
from hwloop.devices.checks import general_problems, refuse_unsuited, target_problems
from hwloop.devices.fleet import Device
from hwloop.devices.jobs import job_request
from hwloop.devices.lease import Holder, Owner
from hwloop.devices.provision import ProvisionedRuntime
from hwloop.devices.session import DeviceSession
from hwloop.devices.transports.factory import open_session
from hwloop.digests import digest_json
from hwloop.errors import DeviceError, DeviceUnsuited, InfrastructureError
from hwloop.exporter.device_target import target_for
from hwloop.exporter.runtimes.base import Runtime
from hwloop.measure.cells import Cell, CellKey
from hwloop.measure.gates import Gate
from hwloop.measure.giving_up import give_up, refuse_quarantined
from hwloop.measure.job import DeviceClock, MeasureJob, Observer
from hwloop.measure.preparing import Preparer, Settled
from hwloop.measure.quiet import Quiet
from hwloop.measure.recovery import Patience, may_pass, retrying
from hwloop.measure.sharing import Sharing
from hwloop.measure.waiting import told_once
from hwloop.records import DeviceFacts, Evidence, Failure, FailureKind, Measurement, Target, Verdict
from hwloop.schedule import Schedule
from hwloop.stats import summarise
from hwloop.store import Store
from hwloop.verdict import verdict_of

READY_CHECK_S = 0.5
EVIDENCE_S = 300.0  # the agent may be unpacking meanwhile
LEASE_WAIT_S = 24 * 3600.0
STRIKES = 5
AHEAD = 2


class DeviceRun:
    """One device's share of a measuring run."""

    def __init__(
        self,
        device: Device,
        job: MeasureJob,
        store: Store,
        observer: Observer,
        quiet: Quiet,
        sharing: Sharing[CellKey],
        inputs_folder: Path,
    ) -> None:
        self.device = device
        self.finished: list[Measurement] = []
        self.clock = DeviceClock()
        self._job = job
        self._store = store
        self._observer = observer
        self._quiet = quiet
        self._sharing = sharing
        self._kind = ""
        self._no_more = False  # cells to be taken
        self._half_made: list[CellKey] = []  # when the last session was lost
        threads = device.settings.threads or job.protocol.threads
        self._protocol = replace(job.protocol, threads=threads)
        self._emulated = device.emulated
        self._preparer = Preparer(device, job, self._protocol, store, quiet, inputs_folder, observer.say)
        self._schedule: Schedule[CellKey] = Schedule(self._protocol, emulated=self._emulated)
        self._cells: dict[CellKey, Cell] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()  # this session
        self._told_to_stop = threading.Event()  # all of it
        self._patience = Patience(job.patience_s)
        self._running: CellKey | None = None
        self._strikes: Counter[CellKey] = Counter()
        self._preparing_error: BaseException | None = None
        self._session: DeviceSession | None = None
        self._target: Target
        self._facts: DeviceFacts
        self._identity = ""
        self._gate: Gate | None = None

    def run(self) -> None:
        """Measure every cell; what is measured is in the store at once.

        Raises:
            InfrastructureError: the device failed.
            HwloopError: the store or this host did.
        """
        started = time.monotonic()
        self._observer.planned(self.device.name, len(self._keys))
        try:
            refuse_quarantined(self._store, self.device.name, despite=self._job.despite_quarantine)
            retrying(self._patience, self._told_to_stop, self._tell_of_retry)(self._attempt)
            quarantine.lift(self._store.path, self.device.name)
        except InfrastructureError as error:
            # What breaks because the host said stop is no fault of the device.
            if not self._told_to_stop.is_set():
                had_its_chance = self._patience.was_reached and self._patience.exhausted
                give_up(self._store, self.device.name, error, had_its_chance, self._observer.say)
                raise
        finally:
            self._close_session()
            if self._kind:
                self._sharing.leave(self._kind, self.device.name)
            self.clock.wall_s = time.monotonic() - started

    @property
    def _keys(self) -> list[CellKey]:
        return [
            CellKey(index, runtime.name)
            for index in range(len(self._job.workloads))
            for runtime in self._job.runtimes
            if runtime.name in self.device.settings.runtimes
        ]

    def _attempt(self) -> None:
        """Measure what is open in one session; whatever was measured stays when it fails."""
        with self._changed:
            self._schedule.suspend()
            self._half_made = [key for key in self._schedule.open_cells if key not in self._cells]
        self._stopping.clear()
        self._preparing_error = None
        self._no_more = False
        if self._told_to_stop.is_set():
            return
        try:
            with self._timed_as("open_s"):
                session = self._open()
            preparing = threading.Thread(target=self._prepare_all, args=(session,), name="prepare", daemon=True)
            preparing.start()
            try:
                self._time_all(session)
                if session.leased and not self._stopping.is_set():
                    session.trim(self.device.settings.cache_limit_mb * 1_000_000)
            finally:
                self._close_session()
                preparing.join()
        except InfrastructureError as error:
            if may_pass(error):
                self._blame(error)
            if self._kind:
                self._sharing.lose(self._kind, self.device.name)
            raise

    def _blame(self, error: InfrastructureError) -> None:
        """Give a candidate up that takes the device down each time it runs."""
        key, self._running = self._running, None
        if key is None or self._told_to_stop.is_set():
            return
        self._strikes[key] += 1
        if self._strikes[key] < STRIKES:
            return
        cell, message = self._cells[key], f"the device was lost {STRIKES} times while it ran"
        failure = Failure(FailureKind.CRASH, message, str(error))
        reasons = (f"{failure.kind.value}: {message}",)
        summary = summarise(cell.runs, self._emulated)
        self._close(key)
        failed = self._store.finish(cell.measurement_id, Verdict.FAILED, reasons, summary, failure)
        self._note(key, failed, reused=False)
        self._patience.progress()

    def _tell_of_retry(self, error: DeviceError, pause_s: float, failures: int) -> None:
        words = str(error).splitlines()[0]
        self._observer.say(f"{words}; trying again in {pause_s:.0f} s ({failures})")

    def stop(self) -> None:
        """End what runs on the device, from any thread; `run` returns soon after."""
        self._told_to_stop.set()
        self._close_session()

    def _close_session(self) -> None:
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._session:
            self._session.close()

    def _open(self) -> DeviceSession:
        self._observer.progressed(self.device.name, "connecting", 0.0)
        # To start an emulator, or to build its root file system, is work for this host's processors.
        with self._quiet.noise() if self._emulated else nullcontext():
            self._session = open_session(self.device, self._observer.say)
        self._facts = self._session.facts
        self._patience.reached()
        self._refuse_stand_in(self._facts)
        facts, override = self._facts, self.device.settings.target
        problems = [*general_problems(facts), *(target_problems(facts, override.record()) if override else ())]
        refuse_unsuited(self.device.name, problems)
        self._target = override.record() if override else target_for(facts)
        self._lease(self._session)
        self._kind = self._kind or self._kind_of(facts)
        self._sharing.join(self._kind, self.device.name, self._keys)
        return self._session

    def _kind_of(self, facts: DeviceFacts) -> str:
        """Return what equal devices have in common; a device that shares with nobody has its name in it."""
        alone = "" if self.device.name in self._job.sharing else self.device.name
        alike = replace(facts, identity="", disk_free_bytes=0, cache_dir="")
        settings, limits = self.device.settings, self.device.limits(facts)
        parts = [alone, asdict(alike), asdict(self._target), settings.runtimes, self._protocol.threads, asdict(limits)]
        return digest_json(parts)

    def _refuse_stand_in(self, facts: DeviceFacts) -> None:
        """Go on with the same board only: measurements of two are never mixed."""
        identity, self._identity = self._identity, facts.identity
        if identity not in ("", facts.identity):
            raise DeviceUnsuited(
                self.device.name,
                "another board answers at its address now",
                remedy="Start the command again to measure that one.",
            )

    def _lease(self, session: DeviceSession) -> None:
        count = len(self._job.workloads)
        owner = Owner.here(f"measuring {count} model{'s' if count != 1 else ''}")
        say = told_once(self.device.name, self._observer.say)

        def tell(holder: Holder) -> None:
            self._observer.progressed(self.device.name, f"waiting for {holder}", self._share())
            say(holder)

        session.lease(owner, Deadline.after(LEASE_WAIT_S), wait=self._job.wait, told=tell)

    # ── making cells ready ──

    def _prepare_all(self, session: DeviceSession) -> None:
        try:
            runtimes: dict[str, ProvisionedRuntime] = {}
            for cell in list(self._cells.values()):
                if not self._schedule.is_closed(cell.key):
                    self._bring_back(session, cell)
            while (key := self._take()) is not None:
                runtime = next(one for one in self._job.runtimes if one.name == key.runtime)
                if key.runtime not in runtimes:
                    with self._timed_as("provision_s"):
                        runtimes[key.runtime] = self._preparer.provision(session, runtime)
                self._make_ready(session, key, runtime, runtimes[key.runtime])
            self._no_more = True
        except BaseException as error:  # noqa: BLE001  handed to the timing thread, which raises it
            self._preparing_error = error
        finally:
            with self._changed:
                self._changed.notify_all()

    def _take(self) -> CellKey | None:
        """Return the next cell to make ready, when there is one; None when all are done or the session ends."""
        if self._half_made:
            return self._half_made.pop(0)
        while not self._stopping.is_set() and not self._sharing.over(self._kind):
            if not self._has_enough():
                key = self._sharing.take(self._kind, self.device.name)
                if key is not None:
                    with self._changed:
                        if not self._schedule.knows(key):
                            self._schedule.add(key, ready=False)
                    return key
                if self.device.name not in self._job.sharing:
                    return None
            self._stopping.wait(READY_CHECK_S / 5)
        return None

    def _has_enough(self) -> bool:
        """Whether a device that shares has cells at hand; the more it took, the less could others do."""
        with self._changed:
            return self.device.name in self._job.sharing and len(self._schedule.open_cells) >= AHEAD

    def _make_ready(
        self, session: DeviceSession, key: CellKey, runtime: Runtime, provisioned: ProvisionedRuntime
    ) -> None:
        name = self._job.workloads[key.workload].name
        self._observer.progressed(self.device.name, f"building {name} for {key.runtime}", self._share())
        made = self._preparer.prepare(session, key, runtime, provisioned, self._target)
        if isinstance(made, Settled):
            self._note(key, made.measurement, reused=made.reused)
            self._close(key)
            return
        with self._changed:
            self._cells[key] = made
            self._schedule.ready(key, made.runs)
            closed = self._schedule.is_closed(key)
            self._changed.notify_all()
        if closed:
            self._finish(made)

    def _bring_back(self, session: DeviceSession, cell: Cell) -> None:
        """Make a cell of a former session ready again."""
        self._preparer.bring_back(session, cell)
        with self._changed:
            self._schedule.ready(cell.key)
            self._changed.notify_all()

    # ── timing ──

    def _time_all(self, session: DeviceSession) -> None:
        while (key := self._await_turn()) is not None:
            self._time(session, self._cells[key])
        if self._preparing_error:
            raise self._preparing_error

    def _await_turn(self) -> CellKey | None:
        """Return the next cell, waiting for one to get ready; None when all are done or the run is stopping."""
        with self._timed_as("idle_s"), self._changed:
            while not (self._stopping.is_set() or self._preparing_error or (self._no_more and self._schedule.done)):
                key = self._schedule.next()
                if key is not None and self._sharing.begin(self._kind, self.device.name, key):
                    return key
                if key is not None:  # an equal device has it now
                    self._schedule.remove(key)
                    del self._cells[key]
                    continue
                self._changed.wait(READY_CHECK_S)
        return None

    def _time(self, session: DeviceSession, cell: Cell) -> None:
        protocol = self._protocol
        with self._changed:
            budget = self._schedule.budget(cell.key)
        request = job_request(
            cell.artifact,
            cell.folder.digest,
            cell.workload.inputs.digests,
            protocol,
            budget,
            counted=self._emulated,
            # Counted processes must be equal to the byte, so each of them returns its outputs.
            known_outputs=() if self._emulated else cell.known_outputs,
        )
        doing = f"{'counting' if self._emulated else 'timing'} {cell.workload.name} with {cell.key.runtime}"
        self._observer.progressed(self.device.name, doing, self._share())
        if self._stopping.is_set():
            return
        zygote = session.zygote(cell.key.runtime, cell.runtime_folder)
        with self._undisturbed():
            self._await_calm(session)
            self._running = cell.key
            with self._timed_as("job_s"):
                result = zygote.run(request)
        if self._stopping.is_set():
            return
        self._running = None
        if isinstance(result, Failure) and self._may_be_chance(cell.key, result):
            return
        self._strikes[cell.key] = 0
        self._patience.progress()
        if isinstance(result, Failure):
            with self._changed:
                self._schedule.tell(cell.key, result)
            reasons = (f"{result.kind.value}: {result.message}",)
            summary = summarise(cell.runs, self._emulated)
            self._note(
                cell.key,
                self._store.finish(cell.measurement_id, Verdict.FAILED, reasons, summary, result),
                reused=False,
            )
            return
        run = cell.take(self.device.name, result)
        self.clock.timed_s += sum(run.samples_ns) / 1e9
        self.clock.warmup_s += sum(run.warmup_ns) / 1e9
        self._store.add_run(cell.measurement_id, run)
        with self._changed:
            self._schedule.tell(cell.key, run)
            closed = self._schedule.is_closed(cell.key)
        if closed:
            self._finish(cell)

    def _may_be_chance(self, key: CellKey, failure: Failure) -> bool:
        """Whether a process is to be run once more: somebody killed it, perhaps not for its memory."""
        if failure.kind is not FailureKind.CRASH or "SIGKILL" not in failure.message:
            return False
        self._strikes[key] += 1
        if self._strikes[key] >= STRIKES:
            return False
        with self._changed:
            self._schedule.retry(key)
        return True

    def _await_calm(self, session: DeviceSession) -> None:
        """Wait for a real device to be calm, as long as its limits say."""
        if self._emulated:
            return
        if self._gate is None:
            self._gate = Gate(
                self.device.limits(self._facts),
                lambda: self._evidence(),
                lambda words: self._observer.say(f"{self.device.name}: {words}"),
                self._stopping.wait,
                threads=self._protocol.threads,
            )
        with self._timed_as("calm_s"):
            self._gate.await_calm()

    def _evidence(self) -> Evidence:
        assert self._session
        return self._session.evidence(Deadline.after(EVIDENCE_S))

    def _finish(self, cell: Cell) -> None:
        summary = summarise(cell.runs, self._emulated)
        limits = self.device.limits(self._facts)
        verdict, reasons = verdict_of(cell.runs, summary, self._protocol, limits, emulated=self._emulated)
        finished = self._store.finish(cell.measurement_id, verdict, reasons, summary, limits=limits)
        self._note(cell.key, finished, reused=False)

    # ── small things ──

    def _undisturbed(self) -> AbstractContextManager[None]:
        """Keep what is timed on this host apart from what makes noise on it."""
        if self._emulated:
            return self._quiet.noise()
        return self._quiet.timing() if self.device.on_this_host else nullcontext()

    def _close(self, key: CellKey) -> None:
        with self._changed:
            self._schedule.close(key)
            self._changed.notify_all()

    def _note(self, key: CellKey, measurement: Measurement, *, reused: bool) -> None:
        self.finished.append(measurement)
        self._sharing.finish(self._kind, key)
        self._observer.finished(measurement, reused)
        self._observer.progressed(self.device.name, "", self._share())

    def _share(self) -> float:
        if self.device.name in self._job.sharing and self._kind:
            return self._sharing.share_done(self._kind)
        with self._changed:
            return self._schedule.share_done

    @contextmanager
    def _timed_as(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            setattr(self.clock, name, getattr(self.clock, name) + time.monotonic() - start)
