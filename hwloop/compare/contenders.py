"""What stands behind the names that a user compares: an ONNX file, or a stored measurement run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.artifacts import ArtifactArchive
from hwloop.deadline import Deadline
from hwloop.devices.folders import Blob
from hwloop.errors import UsageError
from hwloop.exporter.compare import compare, decode_outputs
from hwloop.exporter.runtimes.base import Runtime
from hwloop.measure.workload import Workload, load_workloads
from hwloop.records import Artifact, Failure, Measurement, RuntimeNeeds, Target
from hwloop.records.comparison import Contender
from hwloop.store import Store

if TYPE_CHECKING:
    from hwloop.devices.jobs import RawOutput

BUILD_S = 600.0
Checks = Callable[[str, "Sequence[RawOutput] | None"], "bool | None"]


@dataclass(frozen=True)
class Ready:
    """A contender with all that is pushed for it; `check` says whether outputs are right, None if unknown."""

    contender: Contender
    artifact: Artifact
    inputs: Mapping[str, Blob]
    check: Checks


class FileContender:
    """An ONNX file with one runtime."""

    def __init__(self, workload: Workload, runtime: Runtime) -> None:
        self.label = workload.name
        self.runtime = runtime.name
        self._workload = workload
        self._builder = runtime

    @property
    def compiles(self) -> bool:
        """Whether making it ready loads this host's processors."""
        return self._builder.compiles

    def needs(self) -> RuntimeNeeds:
        """Return the wheels that must stand on the device."""
        return self._builder.needs()

    def ready(self, target: Target, version: str, folder: Path) -> Ready:
        """Build it for a target; its inputs are written below `folder`.

        Raises:
            UsageError: it cannot be built.
        """
        built = self._builder.build(self._workload.model, target, version, Deadline.after(BUILD_S))
        if isinstance(built, Failure):
            raise UsageError(
                f"{self.label} with {self.runtime}: {built.kind.value}: {built.message}",
                remedy="`hwloop measure` keeps the whole message; another runtime (-r) may do.",
            )
        inputs = self._workload.inputs
        blobs = {name: Blob(path, inputs.digests[name]) for name, path in inputs.write(folder).items()}
        contender = Contender(
            self.label, self._workload.model.digest, built.digest, inputs.digest, self.runtime, version
        )
        return Ready(contender, built, blobs, self._check)

    def _check(self, digest: str, outputs: Sequence[RawOutput] | None) -> bool | None:
        reference = self._workload.inputs.reference
        return compare(reference, decode_outputs(outputs)).match if reference and outputs is not None else None


class StoredContender:
    """A stored measurement, whose artifact is run again with its inputs and by its exact runtime."""

    compiles = False

    def __init__(self, measurement: Measurement, archive: ArtifactArchive, runtime: Runtime) -> None:
        subject = measurement.subject
        self.label = f"{subject.model} ({measurement.id[:12]})"
        self.runtime = subject.runtime
        self.version = subject.runtime_version
        self._builder = runtime
        self._measurement = measurement
        self._artifact = archive.artifact(subject.artifact_digest)
        self._inputs = archive.inputs(subject.inputs_digest)

    def needs(self) -> RuntimeNeeds:
        """Return the wheels of the runtime's version that the artifact was measured with."""
        return self._builder.needs().exactly(self.version)

    def ready(self, target: Target, version: str, folder: Path) -> Ready:
        """Return it as it was measured.

        Raises:
            UsageError: it was built for a device of another kind.
        """
        built_for = self._artifact.target
        if built_for and built_for != target:
            raise UsageError(
                f"{self.label} was built for {built_for.triple} {built_for.cpu}, and this device is {target.cpu}",
                remedy="Compare the model's file, or name the device that it was measured on.",
            )
        subject = self._measurement.subject
        contender = Contender(
            self.label, subject.model_digest, subject.artifact_digest, subject.inputs_digest, self.runtime, version
        )
        blobs = {name: Blob(path, digest) for name, (path, digest) in self._inputs.items()}
        return Ready(contender, self._artifact, blobs, self._check)

    def _check(self, digest: str, outputs: Sequence[RawOutput] | None) -> bool | None:
        """Say what the measurement found of the same outputs; of others nothing is known."""
        found = [run.outputs_match for run in self._measurement.runs if run.outputs_digest == digest]
        return found[0] if found else None


AnyContender = FileContender | StoredContender


def find_contenders(
    words: Sequence[str],
    shapes: Mapping[str, int],
    names: Sequence[str],
    runtimes: Mapping[str, Runtime],
    store: Store,
    seed: int,
    *,
    exported: Mapping[str, Path] | None = None,
) -> list[AnyContender]:
    """Return what each word names: a candidate, a file, or a stored measurement by the first digits of its id.

    `exported` has the files of those words that name candidates. `names` are the runtimes of files, one for each
    word; a measurement has its own.

    Raises:
        ModelError: a file is no model that can be measured.
        UsageError: a word names none of them, or the measurement's artifact is not kept any more.
    """
    paths = {word: Path(word) for word in words if Path(word).exists() or Path(word).suffix == ".onnx"}
    paths |= exported or {}
    loaded = load_workloads(list(paths.values()), shapes, {}, seed)
    workloads = dict(zip(dict.fromkeys(paths.values()), loaded, strict=True))
    found: list[AnyContender] = []
    for word, name in zip(words, names, strict=True):
        if word in paths:
            found.append(FileContender(workloads[paths[word]], runtimes[name]))
        else:
            found.append(_stored(word, runtimes, store))
    return found


def _stored(word: str, runtimes: Mapping[str, Runtime], store: Store) -> StoredContender:
    try:
        measurement = store.get(word)
    except UsageError as error:
        raise UsageError(f"{word!r} is no file, and {error}", remedy=error.remedy) from error
    if measurement.failure:
        raise UsageError(f"measurement {word} is a failure: {measurement.failure.message}")
    return StoredContender(measurement, ArtifactArchive(), runtimes[measurement.subject.runtime])
