"""What one device has before it: a cell for every workload and runtime, made ready while others are timed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwloop.devices.folders import Blob, Folder
from hwloop.devices.jobs import JobResult
from hwloop.errors import RunnerError
from hwloop.exporter.compare import Comparison, compare, decode_outputs
from hwloop.measure.workload import Workload
from hwloop.records import Artifact, ProcessRun, Subject


@dataclass(frozen=True)
class CellKey:
    """Names a cell of a device."""

    workload: int
    runtime: str


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
    comparisons: dict[str, Comparison | None] = field(default_factory=dict)

    @property
    def known_outputs(self) -> list[str]:
        """Digests of the outputs that were compared already."""
        return list(self.comparisons)

    def take(self, device: str, result: JobResult) -> ProcessRun:
        """Compare a process's outputs with the reference and return its run; it is kept here too.

        Raises:
            RunnerError: the runner sent no outputs, though their digest is new.
        """
        if result.outputs_digest not in self.comparisons:
            if result.outputs is None:
                raise RunnerError(device, "the runner sent no outputs")
            reference = self.workload.inputs.reference
            # Without a reference (the host lacks an operator) nothing is said of the outputs.
            compared = compare(reference, decode_outputs(result.outputs)) if reference else None
            self.comparisons[result.outputs_digest] = compared
        comparison = self.comparisons[result.outputs_digest]
        run = ProcessRun(
            index=len(self.runs),
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
        self.runs.append(run)
        return run


def artifact_folder(artifact: Artifact) -> Folder:
    """Return the folder that is pushed for an artifact."""
    return Folder({name: Blob(path, artifact.digests[name]) for name, path in artifact.files.items()})
