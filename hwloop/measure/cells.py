"""What one device has before it: a cell for every workload and runtime, made ready while others are timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hwloop.devices.folders import Blob, Folder
from hwloop.devices.jobs import JobResult
from hwloop.errors import RunnerError
from hwloop.exporter.compare import Comparison, compare, decode_outputs
from hwloop.measure.workload import Workload
from hwloop.records import Artifact, ProcessRun, Subject

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class CellKey:
    """Names a cell of a device."""

    workload: int
    runtime: str


class Outputs:
    """The outputs of a workload as its processes computed them, compared with the reference, each digest once.

    Without a reference (the host lacks an operator) nothing is said of them.
    """

    def __init__(self, reference: Mapping[str, np.ndarray]) -> None:
        self._reference = reference
        self._compared: dict[str, Comparison | None] = {}

    @property
    def known(self) -> list[str]:
        """Digests of the outputs that were compared already."""
        return list(self._compared)

    def run_of(self, device: str, index: int, result: JobResult) -> ProcessRun:
        """Return what the process with this index measured, its outputs compared.

        Raises:
            RunnerError: the runner sent no outputs, though their digest is new.
        """
        if result.outputs_digest not in self._compared:
            if result.outputs is None:
                raise RunnerError(device, "the runner sent no outputs")
            compared = compare(self._reference, decode_outputs(result.outputs)) if self._reference else None
            self._compared[result.outputs_digest] = compared
        comparison = self._compared[result.outputs_digest]
        return ProcessRun(
            index=index,
            started_at=result.started_at,
            samples_ns=result.samples_ns,
            warmup_ns=result.warmup_ns,
            steady=result.steady,
            instructions=result.instructions,
            peak_rss_bytes=result.peak_rss_bytes,
            load_ms=result.load_ms,
            outputs_digest=result.outputs_digest,
            output_max_abs_err=comparison.max_abs_err if comparison else None,
            outputs_match=comparison.match if comparison else None,
            before=result.before,
            after=result.after,
            during=result.during,
        )


@dataclass
class Cell:
    """One workload with one runtime on one device, built and described."""

    key: CellKey
    workload: Workload
    artifact: Artifact
    subject: Subject
    folder: Folder
    runtime_folder: Folder
    blobs: list[Blob]
    measurement_id: str
    runs: list[ProcessRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._outputs = Outputs(self.workload.inputs.reference)

    @property
    def known_outputs(self) -> list[str]:
        """Digests of the outputs that were compared already."""
        return self._outputs.known

    @property
    def full_speed_ns(self) -> int:
        """What its processes found of the processor's full speed; 0 for nothing."""
        return min((run.during.full_speed_ns for run in self.runs if run.during.full_speed_ns), default=0)

    def take(self, device: str, result: JobResult) -> ProcessRun:
        """Return the run of a process, its outputs compared; it is kept here too.

        Raises:
            RunnerError: the runner sent no outputs, though their digest is new.
        """
        run = self._outputs.run_of(device, len(self.runs), result)
        self.runs.append(run)
        return run


def artifact_folder(artifact: Artifact) -> Folder:
    """Return the folder that is pushed for an artifact."""
    return Folder({name: Blob(path, artifact.digests[name]) for name, path in artifact.files.items()})
