"""From a workload and a runtime to a cell that stands on the device, or to what is known of it already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from hwloop.artifacts import ArtifactArchive
from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device
from hwloop.devices.folders import Blob
from hwloop.devices.provision import ProvisionedRuntime, provision
from hwloop.devices.session import DeviceSession
from hwloop.digests import digest_json
from hwloop.errors import FetchError
from hwloop.exporter.runtimes.base import Runtime
from hwloop.measure.cells import Cell, CellKey, artifact_folder
from hwloop.measure.job import MeasureJob
from hwloop.measure.quiet import Quiet
from hwloop.measure.workload import Workload
from hwloop.records import Artifact, DeviceFacts, Failure, FailureKind, Measurement, Subject, Target, TimingProtocol
from hwloop.store import Store
from hwloop.verdict import holds_under

FETCH_S = 1200.0
FETCH_ATTEMPTS, FETCH_PAUSE_S = 3, 2.0
BUILD_S = 600.0
PUSH_S = 900.0


def provision_patiently(
    runtime: Runtime, device: str, facts: DeviceFacts, say: Callable[[str], None]
) -> ProvisionedRuntime:
    """Return a runtime's wheels for a device; what cannot be fetched is tried again.

    Raises:
        FetchError: its wheels could not be fetched.
        DeviceUnsuited: no wheel suits the device.
    """
    fetching = Retrying(
        retry=retry_if_exception_type(FetchError),
        stop=stop_after_attempt(FETCH_ATTEMPTS),
        wait=wait_random_exponential(FETCH_PAUSE_S),
        reraise=True,
    )
    return fetching(provision, runtime.needs(), device, facts, Deadline.after(FETCH_S), say)


def recipe_of(runtime: Runtime, workload: Workload, target: Target) -> str:
    """Return what names a cell that could not be built: the digest of what it would have been built from."""
    return digest_json([runtime.revision, workload.model.digest, asdict(target)])


def subject_of(
    workload: Workload,
    device: Device,
    identity: str,
    runtime: ProvisionedRuntime,
    protocol: TimingProtocol,
    built: Artifact | str,
) -> Subject:
    """Return what is measured: a workload's artifact, or the recipe of one that could not be built."""
    return Subject(
        model=workload.name,
        model_digest=workload.model.digest,
        artifact_digest=built if isinstance(built, str) else built.digest,
        artifact_bytes=0 if isinstance(built, str) else built.size_bytes,
        inputs_digest=workload.inputs.digest,
        device=device.name,
        device_identity=identity,
        runtime=runtime.name,
        runtime_version=runtime.version,
        threads=protocol.threads,
        batch=workload.batch,
        emulated=device.emulated,
        protocol=protocol.as_json(),
    )


@dataclass(frozen=True)
class Unbuilt:
    """A cell whose model could not be built, and why."""

    subject: Subject
    failure: Failure


class Preparer:
    """Makes the cells of one device ready, session after session."""

    def __init__(
        self,
        device: Device,
        job: MeasureJob,
        protocol: TimingProtocol,
        store: Store,
        quiet: Quiet,
        inputs_folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self._device = device
        self._job = job
        self._protocol = protocol
        self._store = store
        self._quiet = quiet
        self._inputs_folder = inputs_folder
        self._say = say
        self._archive = ArtifactArchive()
        self._taken: set[str] = set()  # measurements that cells of this run are at

    def provision(self, session: DeviceSession, runtime: Runtime) -> ProvisionedRuntime:
        """Bring a runtime to the device.

        Raises:
            FetchError: its wheels could not be fetched.
            DeviceError: the device failed, or no wheel suits it.
        """
        found = provision_patiently(runtime, self._device.name, session.facts, self._say)
        session.push([found.folder], [], Deadline.after(PUSH_S))
        return found

    def bring_back(self, session: DeviceSession, cell: Cell) -> None:
        """Push again what a former session pushed for a cell; the device may have lost it."""
        session.push([cell.runtime_folder, cell.folder], cell.blobs, Deadline.after(PUSH_S))

    def prepare(
        self,
        session: DeviceSession,
        key: CellKey,
        provisioned: ProvisionedRuntime,
        target: Target,
        equals: Sequence[tuple[str, str]],
    ) -> Cell | Measurement | Unbuilt:
        """Build a cell and push it; or return what the store knows of it, or why it could not be built.

        What one of `equals` (names and identities of devices, the own first) has measured is as good as the own.

        Raises:
            UsageError: a tool that the build needs is not installed.
            InfrastructureError: the device failed, or the build was stopped.
        """
        workload, runtime = self._job.workloads[key.workload], self.runtime(key)
        unbuilt = self._subject(session, workload, provisioned, recipe_of(runtime, workload, target))
        known = self._known(unbuilt, equals)
        if known and known.failure and known.failure.kind is FailureKind.UNSUPPORTED:
            return known
        with self._quiet.compiling() if runtime.compiles else nullcontext():
            built = runtime.build(workload.model, target, provisioned.version, Deadline.after(BUILD_S))
        if isinstance(built, Failure):
            return Unbuilt(unbuilt, built)
        for note in built.notes:
            self._say(f"{workload.name} with {key.runtime}: {note}")
        subject = self._subject(session, workload, provisioned, built)
        known = self._known(subject, equals)
        # Under other limits than those of its day it may have another verdict: then it is measured again.
        if known and holds_under(known, self._store.runs(known.id), self._device.limits(session.facts)):
            return known
        return self._push(session, key, workload, built, subject, provisioned)

    def runtime(self, key: CellKey) -> Runtime:
        """Return the runtime of a cell."""
        return next(one for one in self._job.runtimes if one.name == key.runtime)

    def _known(self, subject: Subject, equals: Sequence[tuple[str, str]]) -> Measurement | None:
        """Return what the store has of a subject on one of these devices."""
        if self._job.fresh:
            return None
        keys = [replace(subject, device=name, device_identity=identity).key for name, identity in equals]
        return next((found for key in keys if (found := self._store.finished(key))), None)

    def _push(
        self,
        session: DeviceSession,
        key: CellKey,
        workload: Workload,
        artifact: Artifact,
        subject: Subject,
        provisioned: ProvisionedRuntime,
    ) -> Cell:
        files = workload.inputs.write(self._inputs_folder)
        blobs = [Blob(path, workload.inputs.digests[name]) for name, path in files.items()]
        self._archive.keep(artifact, files, workload.inputs.digest)
        right = workload.inputs.write_reference(self._inputs_folder)
        self._archive.keep_reference(workload.model.digest, workload.inputs.digest, right, workload.quantization)
        folder = artifact_folder(artifact)
        session.push([folder], blobs, Deadline.after(PUSH_S))
        resumed = None if self._job.fresh else self._store.unfinished(subject.key)
        if resumed is None or resumed[0] in self._taken:  # two models can become the same artifact
            resumed = self._store.begin(subject), []
        measurement_id, runs = resumed
        self._taken.add(measurement_id)
        return Cell(key, workload, artifact, subject, folder, provisioned.folder, blobs, measurement_id, list(runs))

    def _subject(
        self, session: DeviceSession, workload: Workload, provisioned: ProvisionedRuntime, built: Artifact | str
    ) -> Subject:
        return subject_of(workload, self._device, session.facts.identity, provisioned, self._protocol, built)
