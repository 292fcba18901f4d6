"""From a measuring job and a device that no connection reaches to the archive that is carried there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import hwloop
from hwloop.artifacts import ArtifactArchive
from hwloop.carried.archive import kept_jobs, write_job
from hwloop.carried.cells import CarriedCell, built_cell, failed_cell
from hwloop.deadline import Deadline
from hwloop.devices.fleet import BundleDevice, Device
from hwloop.devices.folders import Folder
from hwloop.devices.provision import ProvisionedRuntime
from hwloop.exporter.runtimes.base import Runtime
from hwloop.measure.describing import describe
from hwloop.measure.job import MeasureJob, Observer
from hwloop.measure.preparing import BUILD_S, provision_patiently, recipe_of, subject_of
from hwloop.measure.workload import Workload, distinct, identity_of, named
from hwloop.records import DeviceFacts, Failure, Measurement, Target
from hwloop.scratch import scratch_folder
from hwloop.store import Filters, Store


@dataclass
class BuiltJob:
    """What was written: the job's digest ("": there was nothing to measure), and what the store had already."""

    digest: str = ""
    cells: int = 0
    failures: list[str] = field(default_factory=list)
    known: list[Measurement] = field(default_factory=list)


def build_job(job: MeasureJob, device: Device, path: Path, store: Store, observer: Observer) -> BuiltJob:
    """Build every workload for a device that jobs are carried to, and write the archive to `path`.

    What the store has of the board that last sent results is not measured again, unless the job is `fresh`.

    Raises:
        FetchError, DeviceUnsuited: a runtime's wheels cannot be had for the device.
        UsageError: the archive cannot be written.
    """
    describe(job.workloads, store)
    builder = _Builder(job, device, store, observer)
    with scratch_folder("inputs") as folder:
        cells = list(builder.cells(folder))
        if cells:
            digest = write_job(path, kept_jobs(store.path), builder.settings(), builder.runtimes(), cells)
            builder.result.digest, builder.result.cells = digest, len(cells)
    return builder.result


class _Builder:
    def __init__(self, job: MeasureJob, device: Device, store: Store, observer: Observer) -> None:
        assert isinstance(device.settings, BundleDevice)
        self.result = BuiltJob()
        self._job = job
        self._device = device
        self._settings = device.settings
        self._store = store
        self._observer = observer
        self._target = device.settings.target.record()
        self._protocol = device.timing(job.protocol)
        self._archive = ArtifactArchive()
        self._provisioned: dict[str, ProvisionedRuntime] = {}
        last = [] if job.fresh else store.query(Filters(devices=[device.name], limit=1))
        self._identity = last[0].subject.device_identity if last else ""

    def settings(self) -> dict[str, object]:
        """Return what the job says of the device and of how it is measured."""
        return {
            "hwloop": hwloop.__version__,
            "device": self._device.name,
            "target": asdict(self._target),
            "python": list(self._settings.python_version),
            "cache_dir": self._settings.cache_dir,
            "cache_limit_bytes": self._settings.cache_limit_bytes,
            "limits": self._settings.limits.model_dump(exclude_none=True),
            "protocol": self._protocol.as_json(),
        }

    def runtimes(self) -> dict[str, Folder]:
        """Return the folders of the runtimes."""
        return {name: one.folder for name, one in self._provisioned.items()}

    def cells(self, folder: Path) -> Iterator[CarriedCell]:
        """Yield the cells that are to be measured."""
        pairs = [
            (workload, runtime)
            for workload in distinct(self._job.workloads)
            for runtime in self._job.runtimes
            if runtime.name in self._settings.runtimes
        ]
        self._observer.planned(self._device.name, len(pairs))
        for done, (workload, runtime) in enumerate(pairs):
            doing = f"building {workload.name} for {runtime.name}"
            self._observer.progressed(self._device.name, doing, done / len(pairs))
            cell = self._cell(workload, runtime, folder)
            if cell:
                yield cell

    def _cell(self, workload: Workload, runtime: Runtime, folder: Path) -> CarriedCell | None:
        provisioned = self._provision(runtime)
        deadline = Deadline.after(BUILD_S)
        built = runtime.build(workload.model, self._target, provisioned.version, deadline)
        what = recipe_of(runtime, workload, self._target) if isinstance(built, Failure) else built
        subject = subject_of(workload, self._device, self._identity, provisioned, self._protocol, what)
        known = self._store.finished(subject.key) if self._identity else None
        if known:
            same = [one for one in self._job.workloads if identity_of(one) == identity_of(workload)]
            self.result.known += [named(known, one.name) for one in same]
            return None
        if isinstance(built, Failure):
            self.result.failures.append(f"{workload.name} with {runtime.name}: {built.kind.value}: {built.message}")
            return failed_cell(subject, built)
        for note in built.notes:
            self._observer.say(f"{workload.name} with {runtime.name}: {note}")
        self._archive.keep(built, workload.inputs.write(folder), workload.inputs.digest)
        return built_cell(subject, built, workload.inputs, folder)

    def _provision(self, runtime: Runtime) -> ProvisionedRuntime:
        if runtime.name not in self._provisioned:
            facts = assumed_facts(self._target, self._settings.python_version)
            self._provisioned[runtime.name] = provision_patiently(runtime, self._device.name, facts, self._observer.say)
        return self._provisioned[runtime.name]


def assumed_facts(target: Target, python: tuple[int, int]) -> DeviceFacts:
    """Return what the fleet file says of a device, in the form in which a device says it; the job checks it there."""
    return DeviceFacts(
        machine=target.machine,
        kernel="",
        glibc=target.glibc,
        python=(*python, 0),
        cpu_model="",
        cpu_part="",
        cpu_features=(),
        cores=target.num_cores,
        memory_bytes=0,
        disk_free_bytes=0,
        cache_dir="",
        identity="",
    )
