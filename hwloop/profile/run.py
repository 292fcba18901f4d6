"""Profiles of models on one device: built, pushed, and looked at kernel by kernel in a fresh process each."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices import quarantine
from hwloop.devices.fleet import Device
from hwloop.devices.folders import Blob
from hwloop.devices.gates import Gate
from hwloop.devices.profiling import RawProfile, profile_request
from hwloop.devices.provision import provision
from hwloop.devices.session import DeviceSession
from hwloop.devices.transports.factory import open_session
from hwloop.errors import InfrastructureError, UsageError
from hwloop.exporter.runtimes.base import Runtime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure.cells import artifact_folder
from hwloop.measure.giving_up import give_up, refuse_quarantined
from hwloop.measure.recovery import Patience, retrying
from hwloop.measure.target import suited_target
from hwloop.measure.waiting import take_lease, told_once
from hwloop.measure.workload import Workload
from hwloop.records import Artifact, Failure, KernelCost, Profile, StoredProfile, TimingProtocol
from hwloop.scratch import scratch_folder
from hwloop.store import Store
from hwloop.store.profiles import Profiles

FETCH_S, BUILD_S, PUSH_S, EVIDENCE_S = 1200.0, 600.0, 900.0, 60.0
NS_PER_MS = 1e6
COUNTING = "tvm"  # the runtime whose kernels can be counted


@dataclass(frozen=True)
class ProfileJob:
    """Models to be profiled on a device, with some runtimes; the other words are those of `hwloop compare`."""

    workloads: Sequence[Workload]
    device: Device
    runtimes: Sequence[Runtime]
    calls: int = 50
    threads: int = 1
    process_deadline_s: float = 120.0
    wait: bool = True
    patience_s: float = 900.0
    despite_quarantine: bool = False


@dataclass(frozen=True)
class Unprofiled:
    """A model that could not be profiled with a runtime, and why."""

    model: str
    runtime: str
    failure: Failure


Found = StoredProfile | Unprofiled


def profile(job: ProfileJob, store: Store, say: Callable[[str], None]) -> list[Found]:
    """Profile every model with every runtime; what is found is in the store.

    Raises:
        UsageError: the device counts instructions, and no runtime is asked for whose kernels can be counted.
        InfrastructureError: the device failed.
    """
    device = job.device
    if device.emulated:
        job = replace(job, runtimes=[runtime for runtime in job.runtimes if runtime.name == COUNTING])
        if not job.runtimes:
            raise UsageError(
                f"{device.name} is emulated, and ONNX Runtime's profiler takes times, which mean nothing there",
                remedy="TVM's kernels can be counted there: -r tvm.",
            )
    refuse_quarantined(store, device.name, despite=job.despite_quarantine)
    patience, told = Patience(job.patience_s), told_once(device.name, say)
    found: dict[tuple[int, str], Found] = {}

    def attempt() -> None:
        session = open_session(device, say)
        try:
            patience.reached()
            take_lease(session, "profiling", patience, told, wait=job.wait)
            with scratch_folder("inputs") as folder:
                for key, one in _Run(job, session, folder, say).missing(found):
                    found[key] = one if isinstance(one, Unprofiled) else Profiles(store).add(one)
                    patience.progress()
        finally:
            session.close()

    try:
        retrying(patience, threading.Event(), say)(attempt)
    except InfrastructureError as error:
        give_up(store, device.name, error, patience.was_reached and patience.exhausted, say)
        raise
    quarantine.lift(store.path, device.name)
    return [found[key] for key in sorted(found)]


class _Run:
    """One session's share of a profiling run."""

    def __init__(self, job: ProfileJob, session: DeviceSession, folder: Path, say: Callable[[str], None]) -> None:
        self._job = job
        self._session = session
        self._folder = folder
        self._say = say
        self._target = suited_target(job.device, session.facts)
        threads = job.device.settings.threads or job.threads
        self._protocol = TimingProtocol(threads=threads, process_deadline_s=job.process_deadline_s)
        self._gate = Gate(
            job.device.limits(session.facts),
            lambda: session.evidence(Deadline.after(EVIDENCE_S)),
            lambda words: say(f"{job.device.name}: {words}"),
            threading.Event().wait,
            threads=threads,
        )

    def missing(self, found: dict[tuple[int, str], Found]) -> Iterator[tuple[tuple[int, str], Profile | Unprofiled]]:
        """Yield what is not found yet."""
        for runtime in self._job.runtimes:
            for place, workload in enumerate(self._job.workloads):
                if (place, runtime.name) not in found:
                    self._say(f"{self._job.device.name}: profiling {workload.name} with {runtime.name}")
                    yield (place, runtime.name), self._profile(workload, runtime)

    def _profile(self, workload: Workload, runtime: Runtime) -> Profile | Unprofiled:
        session, device = self._session, self._job.device
        runtime_files = provision(runtime.needs(), device.name, session.facts, Deadline.after(FETCH_S), self._say)
        built = runtime.build(workload.model, self._target, runtime_files.version, Deadline.after(BUILD_S))
        if isinstance(built, Failure):
            return Unprofiled(workload.name, runtime.name, built)
        folder, inputs = artifact_folder(built), workload.inputs
        blobs = [Blob(path, inputs.digests[name]) for name, path in inputs.write(self._folder).items()]
        session.push([runtime_files.folder, folder], blobs, Deadline.after(PUSH_S))
        request = profile_request(
            built, folder.digest, inputs.digests, self._protocol, self._job.calls, counted=device.emulated
        )
        zygote = session.zygote(runtime.name, runtime_files.folder)
        if not device.emulated:
            self._gate.await_calm()
        raw = zygote.profile(request)
        if isinstance(raw, Failure):
            return Unprofiled(workload.name, runtime.name, raw)
        return self._record(workload, runtime, built, raw)

    def _record(self, workload: Workload, runtime: Runtime, artifact: Artifact, raw: RawProfile) -> Profile:
        device = self._job.device
        factor = 1.0 if device.emulated else 1 / NS_PER_MS
        call = statistics.median(raw.calls)
        labelled = [self._labelled(runtime, kernel) for kernel in without_profiler(raw.kernels, call)]
        return Profile(
            model=workload.name,
            model_digest=workload.model.digest,
            artifact_digest=artifact.digest,
            inputs_digest=workload.inputs.digest,
            device=device.name,
            device_identity=self._session.facts.identity,
            runtime=artifact.runtime,
            runtime_version=artifact.runtime_version,
            threads=self._protocol.threads,
            unit="instructions" if device.emulated else "ms",
            calls=len(raw.calls),
            call=call * factor,
            kernels=tuple(
                replace(kernel, cost=kernel.cost * factor)
                for kernel in sorted(labelled, key=lambda kernel: -kernel.cost)
            ),
        )

    def _labelled(self, runtime: Runtime, kernel: KernelCost) -> KernelCost:
        """Return a kernel under a name for people; TVM's bear the digests of their content."""
        if not isinstance(runtime, Tvm):
            return kernel
        name, kind = runtime.kernel_label(kernel.name, self._target)
        return replace(kernel, name=name, kind=kind)


def without_profiler(kernels: Sequence[KernelCost], call: float) -> list[KernelCost]:
    """Return kernels without what a profiler adds to each execution: so much that their sum exceeds a whole call."""
    excess = sum(kernel.cost for kernel in kernels) - call
    each = max(0.0, excess) / sum(kernel.runs for kernel in kernels)
    return [replace(kernel, cost=max(0.0, kernel.cost - each * kernel.runs)) for kernel in kernels]
