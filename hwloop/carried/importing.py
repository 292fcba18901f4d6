"""Results that were carried back, taken into the store as if a session had brought them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwloop.carried.archive import find_job
from hwloop.carried.cells import failure_from, subject_from
from hwloop.devices.carried.job_file import REFERENCES, JobFile, JobRefused
from hwloop.devices.carried.results_file import ResultsRefused, read_results
from hwloop.devices.jobs import RawOutput, parse_reply
from hwloop.devices.session import parse_facts
from hwloop.errors import RunnerError, UsageError
from hwloop.exporter.compare import decode_outputs
from hwloop.measure.cells import Outputs
from hwloop.measure.ledger import finish, finish_failed
from hwloop.records import DeviceFacts, Failure, Limits, Measurement, ProcessRun, Subject, TimingProtocol, usual_limits
from hwloop.schedule import Schedule
from hwloop.store import Store

if TYPE_CHECKING:
    import numpy as np

COPY_AGAIN = "Copy it from the device again; running the job once more writes it anew."


@dataclass
class Imported:
    """What came of a results file.

    `measurements` are those that it holds, in the job's order, whether they are `new` or were in the store already.
    Cells that need more processes are named in `unfinished`, and left out.
    """

    job: str
    measurements: list[Measurement] = field(default_factory=list)
    new: int = 0
    unfinished: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Cell:
    """A cell as it was measured."""

    subject: Subject
    runs: Sequence[ProcessRun]
    failure: Failure | None = None
    unbuilt: bool = False


def import_results(file: Path, store: Store, job_file: Path | None = None) -> Imported:
    """Check a results file against its job, judge what it holds, and store it; what is there already is not doubled.

    The job is `job_file`, or else the one that is kept beside the store.

    Raises:
        UsageError: the file is damaged, of another job, of a newer hwloop, or not of the agreed form; then nothing is
            stored.
    """
    content = _read(file)
    job = find_job(store.path, str(content.get("job")), job_file)
    try:
        facts = parse_facts(job.document["device"], content["facts"])
        cells = _cells(job, content["replies"], facts)
    except (RunnerError, JobRefused, KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"{file}: its content is not of the agreed form ({error})", remedy=COPY_AGAIN) from error
    limits = replace(usual_limits(facts), **job.document["limits"])
    protocol = TimingProtocol.from_json(job.document["protocol"])
    outcome = Imported(job.digest)
    for cell in cells:
        if not cell.failure and not _complete(cell.runs, protocol):
            outcome.unfinished.append(f"{cell.subject.model} with {cell.subject.runtime}")
            continue
        found = _stored_already(cell, store)
        outcome.new += found is None
        outcome.measurements.append(found or _keep(cell, store, protocol, limits))
    return outcome


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_results(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: it cannot be read ({error.strerror})", remedy="Check the path.") from error
    except ResultsRefused as error:
        raise UsageError(f"{file}: {error}", remedy=COPY_AGAIN) from error


def _cells(job: JobFile, replies: Sequence[Mapping[str, Any]], facts: DeviceFacts) -> list[_Cell]:
    """Return what was measured of each cell of a job."""
    answered: list[list[Mapping[str, Any]]] = [[] for _ in job.cells]
    for reply in replies:
        if not 0 <= reply["cell"] < len(answered) or "request" not in job.cells[reply["cell"]]:
            raise ValueError("there is no such cell in its job")
        answered[reply["cell"]].append(reply)
    return [_cell(job, cell, of_it, facts) for cell, of_it in zip(job.cells, answered, strict=True)]


def _cell(job: JobFile, cell: Mapping[str, Any], replies: Sequence[Mapping[str, Any]], facts: DeviceFacts) -> _Cell:
    subject = subject_from(job.document, cell, facts.identity)
    if "failure" in cell:
        return _Cell(subject, (), failure_from(cell["failure"]), unbuilt=True)
    outputs = Outputs(_reference(job, cell))
    runs: list[ProcessRun] = []
    for reply in replies:
        result = parse_reply(subject.device, reply)
        if isinstance(result, Failure):
            return _Cell(subject, runs, result)
        runs.append(outputs.run_of(subject.device, len(runs), result))
    return _Cell(subject, runs)


def _reference(job: JobFile, cell: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return decode_outputs(
        [
            RawOutput(one["name"], one["dtype"], tuple(one["shape"]), job.read(REFERENCES + one["digest"]))
            for one in cell["reference"]
        ]
    )


def _complete(runs: Sequence[ProcessRun], protocol: TimingProtocol) -> bool:
    """Whether a cell has all the processes that it needs, by the rule of every measuring run."""
    schedule: Schedule[str] = Schedule(protocol)
    schedule.add("cell", runs)
    return schedule.done


def _stored_already(cell: _Cell, store: Store) -> Measurement | None:
    """Return the measurement that holds these very processes, or this failure to build."""
    for known in store.all_finished(cell.subject.key):
        if known.failure == cell.failure and _marks(store.runs(known.id)) == _marks(cell.runs):
            return known
    return None


def _marks(runs: Sequence[ProcessRun]) -> list[tuple[str, tuple[int, ...]]]:
    return [(run.started_at, run.samples_ns) for run in runs]


def _keep(cell: _Cell, store: Store, protocol: TimingProtocol, limits: Limits) -> Measurement:
    """Store a cell; an import that was ended in the midst of it is gone on with."""
    if cell.unbuilt and cell.failure:
        return store.add_failure(cell.subject, cell.failure)
    measurement_id, runs = store.unfinished(cell.subject.key) or (store.begin(cell.subject), [])
    if _marks(runs) != _marks(cell.runs[: len(runs)]):
        store.release(measurement_id)
        measurement_id, runs = store.begin(cell.subject), []
    have = len(runs)
    for run in cell.runs[have:]:
        store.add_run(measurement_id, run)
    if cell.failure:
        return finish_failed(store, measurement_id, cell.runs, cell.failure, emulated=False)
    return finish(store, measurement_id, cell.runs, protocol, limits, emulated=False)
