"""Everything that one device measures, over as many sessions as that takes."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path

from hwloop.devices import quarantine
from hwloop.devices.fleet import Device
from hwloop.devices.lease import Holder
from hwloop.devices.session import DeviceSession
from hwloop.devices.transports.factory import open_session
from hwloop.digests import digest_json
from hwloop.errors import DeviceUnsuited, InfrastructureError
from hwloop.measure.bench import Bench
from hwloop.measure.cells import CellKey
from hwloop.measure.giving_up import give_up, refuse_quarantined
from hwloop.measure.job import DeviceClock, MeasureJob, Observer
from hwloop.measure.ledger import Ledger
from hwloop.measure.preparing import Preparer
from hwloop.measure.quiet import Quiet
from hwloop.measure.recovery import Patience, may_pass, retrying
from hwloop.measure.sharing import Sharing
from hwloop.measure.supply import Supply
from hwloop.measure.target import suited_target
from hwloop.measure.timing import Timing
from hwloop.measure.waiting import take_lease, told_once
from hwloop.records import DeviceFacts, Measurement, Target
from hwloop.store import Store


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
        self.clock = DeviceClock()
        self._job = job
        self._store = store
        self._observer = observer
        self._quiet = quiet
        self._patience = Patience(job.patience_s)
        self._shares = device.name in job.sharing
        self._protocol = protocol = device.timing(job.protocol)
        bench = Bench(device.name, protocol, sharing, emulated=device.emulated, shares=self._shares)
        ledger = Ledger(device, protocol, store, bench, observer, [workload.name for workload in job.workloads])
        preparer = Preparer(device, job, protocol, store, quiet, inputs_folder, observer.say)
        self._bench, self._ledger = bench, ledger
        self._supply = Supply(device.name, job, preparer, bench, ledger, observer, self.clock)
        self._timing = Timing(
            device, protocol, store, bench, ledger, quiet, observer, self.clock, self._patience.progress
        )
        self._told_to_stop = threading.Event()
        self._session: DeviceSession | None = None
        self._identity = ""
        self._well = False

    @property
    def finished(self) -> list[Measurement]:
        """Return what was measured, or was known already."""
        return self._ledger.found

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
            retrying(self._patience, self._told_to_stop, self._observer.say, lambda: self._bench.over)(self._attempt)
            if self._well:
                quarantine.lift(self._store.path, self.device.name)
        except InfrastructureError as error:
            # What breaks because the host said stop is no fault of the device.
            if not self._told_to_stop.is_set():
                had_its_chance = self._patience.was_reached and self._patience.exhausted
                give_up(self._store, self.device.name, error, had_its_chance, self._observer.say)
                raise
        finally:
            self._end_session()
            self._bench.leave()
            self.clock.wall_s = time.monotonic() - started

    def stop(self) -> None:
        """End what runs on the device, from any thread; `run` returns soon after."""
        self._told_to_stop.set()
        self._end_session()

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
        self._bench.begin_session()
        if self._told_to_stop.is_set() or self._bench.over:
            return
        try:
            with self.clock.adding_to("open_s"):
                session, target = self._open()
            self._use(session, target)
            self._well = not self._told_to_stop.is_set()
        except InfrastructureError as error:
            if may_pass(error) and not self._told_to_stop.is_set():
                self._timing.blame(error)
            self._bench.lose()
            raise

    def _use(self, session: DeviceSession, target: Target) -> None:
        limits = self.device.limits(session.facts)
        supplying = threading.Thread(
            target=self._supply.run, args=(session, target, limits), name=f"supply-{self.device.name}", daemon=True
        )
        supplying.start()
        try:
            self._timing.time_all(session, limits)
            if session.leased and not self._bench.stopped.is_set():
                with suppress(InfrastructureError):  # all is measured, and the next session trims too
                    session.trim(self.device.settings.cache_limit_bytes)
        finally:
            self._end_session()
            supplying.join()

    def _end_session(self) -> None:
        self._bench.stop()
        if self._session:
            self._session.close()

    def _open(self) -> tuple[DeviceSession, Target]:
        self._observer.progressed(self.device.name, "connecting", self._bench.share_done)
        # To start an emulator, or to build its root file system, is work for this host's processors.
        with self._quiet.noise() if self.device.emulated else nullcontext():
            self._session = session = open_session(self.device, self._observer.say)
        if self._told_to_stop.is_set():
            session.close()  # `stop` did not see it; what follows would wait for the lease
        self._patience.reached()
        facts = session.facts
        self._refuse_stand_in(facts)
        target = suited_target(self.device, facts)
        self._bench.meet(self._kind_of(facts, target), facts.identity, self._keys)
        self._lease(session)
        self._bench.join()
        return session, target

    def _kind_of(self, facts: DeviceFacts, target: Target) -> str:
        """Return what equal devices have in common; a device that shares with nobody has its name in it."""
        alone = "" if self._shares else self.device.name
        alike = replace(facts, identity="", disk_free_bytes=0, cache_dir="")
        settings, limits = self.device.settings, self.device.limits(facts)
        parts = [alone, asdict(alike), asdict(target), settings.runtimes, self._protocol.as_json(), asdict(limits)]
        return digest_json([*parts, self.device.emulated])

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
        doing = f"measuring {count} model{'s' if count != 1 else ''}"
        say = told_once(self.device.name, self._observer.say)

        def tell(holder: Holder) -> None:
            self._observer.progressed(self.device.name, f"waiting for {holder}", self._bench.share_done)
            say(holder)

        take_lease(session, doing, self._patience, tell, wait=self._job.wait)
