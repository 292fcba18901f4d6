"""A tuning run: one device, its lease and sessions, and in the end the tuned build against the untuned one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwloop.compare.attempts import compare, protocol_for
from hwloop.compare.contenders import FileContender
from hwloop.deadline import Deadline
from hwloop.devices import quarantine
from hwloop.devices.fleet import Device
from hwloop.devices.gates import Gate
from hwloop.devices.provision import provision
from hwloop.devices.session import DeviceSession
from hwloop.devices.transports.factory import open_session
from hwloop.errors import InfrastructureError, UsageError
from hwloop.exporter.runtimes.tvm import COMPILER, Tvm
from hwloop.exporter.tuned import TunedKernels
from hwloop.exporter.tuning.tuner import Effort, KernelReport, Tuner, Watcher
from hwloop.exporter.tuning.workbench import Workbench
from hwloop.measure.giving_up import give_up, refuse_quarantined
from hwloop.measure.recovery import Patience, retrying
from hwloop.measure.target import suited_target
from hwloop.measure.waiting import take_lease, told_once
from hwloop.measure.workload import Workload
from hwloop.records import Target
from hwloop.records.comparison import Comparison
from hwloop.scratch import scratch_folder
from hwloop.store import Store
from hwloop.tune.racing import DeviceRace

FETCH_S, PUSH_S, EVIDENCE_S = 1200.0, 900.0, 60.0
COMPARED_S = 20.0


@dataclass(frozen=True)
class TuneJob:
    """Models to be tuned on a device within some seconds; the other words are those of `hwloop compare`."""

    workloads: Sequence[Workload]
    device: Device
    effort: Effort
    seconds: float
    threads: int = 1
    process_deadline_s: float = 30.0
    wait: bool = True
    patience_s: float = 900.0
    despite_quarantine: bool = False


@dataclass(frozen=True)
class TuneOutcome:
    """What is known of each kernel, the longest first, and each model's tuned build (B) against the untuned one (A).

    A model of which no kernel was tuned has no comparison. `complete` says whether the time sufficed.
    """

    kernels: list[KernelReport]
    comparisons: dict[str, Comparison | None]
    complete: bool


def tune(job: TuneJob, store: Store, watcher: Watcher) -> TuneOutcome:
    """Tune the kernels of some models on a device; what is measured is in the user's cache at once.

    A device that fails is reached again, for as long as `patience_s` without progress. Interrupted, the same job goes
    on where it was.

    Raises:
        UsageError: the device counts instructions; a tool is missing; a model cannot be compared in the end.
        InfrastructureError: the device failed.
    """
    device = job.device
    if device.emulated:
        raise UsageError(
            f"{device.name} is emulated: it counts instructions, and fewer of them need not take less time",
            remedy="Tune on a real device of the same target; what is found there serves all of that target.",
        )
    refuse_quarantined(store, device.name, despite=job.despite_quarantine)
    with scratch_folder("tune") as folder:
        run = _Run(job, store, watcher, folder)
        try:
            kernels = run.tuned()
        finally:
            run.close()
    comparisons = {workload.name: _compared(workload, job, store, kernels, watcher) for workload in job.workloads}
    return TuneOutcome(kernels, comparisons, run.complete)


class _Run:
    """Sessions of the device, one after the other where one is lost, and the tuner that outlives them."""

    def __init__(self, job: TuneJob, store: Store, watcher: Watcher, folder: Path) -> None:
        self._job = job
        self._store = store
        self._watcher = watcher
        self._folder = folder
        self._deadline = Deadline.after(job.seconds)  # anew once the device is ours
        self._patience = Patience(job.patience_s)
        self._told = told_once(job.device.name, watcher.say)
        self._workbench: Workbench | None = None
        self._tuner: Tuner | None = None

    @property
    def complete(self) -> bool:
        """Whether all was done before the time had passed."""
        return not self._deadline.expired

    def close(self) -> None:
        """End the compiler."""
        if self._workbench:
            self._workbench.close()

    def tuned(self) -> list[KernelReport]:
        """Return what came of it, over as many sessions as that took."""
        device, patience = self._job.device, self._patience
        try:
            kernels = retrying(patience, threading.Event(), self._watcher.say)(self._attempt)
        except InfrastructureError as error:
            had_its_chance = patience.was_reached and patience.exhausted
            give_up(self._store, device.name, error, had_its_chance, self._watcher.say)
            raise
        quarantine.lift(self._store.path, device.name)
        return kernels

    def _attempt(self) -> list[KernelReport]:
        job = self._job
        self._watcher.progressed("connecting", 0.0)
        session = open_session(job.device, self._watcher.say)
        try:
            self._patience.reached()
            take_lease(session, "tuning", self._patience, self._told, wait=job.wait)
            target = suited_target(job.device, session.facts)
            race = self._race(session)
            try:
                kernels = self._tuner_for(target, session).tune([one.model for one in job.workloads], race)
            finally:
                race.close()
            session.trim(job.device.settings.cache_limit_bytes)
            return kernels
        finally:
            session.close()

    def _race(self, session: DeviceSession) -> DeviceRace:
        job = self._job
        runtime = provision(Tvm().needs(), job.device.name, session.facts, Deadline.after(FETCH_S), self._watcher.say)
        session.push([runtime.folder], [], Deadline.after(PUSH_S))
        threads = job.device.settings.threads or job.threads
        gate = Gate(
            job.device.limits(session.facts),
            lambda: session.evidence(Deadline.after(EVIDENCE_S)),
            lambda words: self._watcher.say(f"{job.device.name}: {words}"),
            threading.Event().wait,
            threads=threads,
        )
        return DeviceRace(
            session, runtime, gate, self._folder / "inputs", threads, job.process_deadline_s, self._patience.progress
        )

    def _tuner_for(self, target: Target, session: DeviceSession) -> Tuner:
        if self._tuner is None:
            folder = self._folder / "kernels"
            folder.mkdir()
            self._deadline = Deadline.after(self._job.seconds)
            self._workbench = Workbench(target, folder)
            notes = {"device": self._job.device.name, "device_identity": session.facts.identity}
            notes |= {"threads": str(self._job.threads)}
            self._tuner = Tuner(
                self._workbench,
                TunedKernels(COMPILER),
                target,
                self._job.effort,
                self._deadline,
                notes,
                self._watcher,
            )
        return self._tuner


def _compared(
    workload: Workload, job: TuneJob, store: Store, kernels: Sequence[KernelReport], watcher: Watcher
) -> Comparison | None:
    """Return the tuned build of a model against the one by rules alone; None where they are the same."""
    if not any(kernel.schedule and workload.model.digest in kernel.models for kernel in kernels):
        return None
    watcher.progressed(f"comparing {workload.name}, tuned and not", 1.0)
    contenders = [FileContender(workload, Tvm(by_rules_alone=True)), FileContender(workload, Tvm())]
    protocol = protocol_for(
        job.device, COMPARED_S, threads=job.threads, process_deadline_s=max(120.0, job.process_deadline_s)
    )
    return compare(
        contenders,
        job.device,
        protocol,
        store,
        watcher.say,
        wait=job.wait,
        patience_s=job.patience_s,
        despite_quarantine=job.despite_quarantine,
    )
