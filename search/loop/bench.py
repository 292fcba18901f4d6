"""Candidates to trials: exported once, judged on the task and measured on the devices, the same files for both."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from hwloop.devices.fleet import Device
from hwloop.digests import digest_file
from hwloop.errors import ModelError, UsageError
from hwloop.measure import MeasureJob, Observer, measure_trusted
from hwloop.measure.workload import load_workloads
from hwloop.records import Candidate, Measurement, Verdict
from hwloop.records.search import Trial
from hwloop.scratch import scratch_folder
from hwloop.search.checkpoints import supernet_with
from hwloop.search.evaluation import Evaluator
from hwloop.search.exports import CandidateExporter
from hwloop.search.goals import ACCURACY, SIZE
from hwloop.search.loop.job import SearchJob
from hwloop.search.loop.unrest import Unrest
from hwloop.search.model_files import ModelFile, write_subnets
from hwloop.search.spaces.registry import load_space
from hwloop.search.tasks.registry import load_task
from hwloop.search.training.run import inputs_of
from hwloop.store import Store
from hwloop.store.searches import Searches

if TYPE_CHECKING:
    from hwloop.search.subnets import Subnet

Watching = Callable[[], AbstractContextManager[Observer]]


@dataclass(frozen=True)
class _Exported:
    """A candidate's parts, the files that they are in, and what its accuracy depends on."""

    candidate: Candidate
    subnets: list[Subnet]
    files: list[ModelFile]
    about: dict[str, Any]


class Bench:
    """Where a search's candidates are judged and measured; what the store has is taken from there."""

    def __init__(self, job: SearchJob, store: Store, watching: Watching) -> None:
        """Build the supernet and fetch the task's data.

        Raises:
            UsageError: names, sizes, weights and task do not fit each other.
            FetchError: data or weights could not be fetched.
        """
        self._job = job
        self._store = store
        self._searches = Searches(store)
        self._watching = watching
        self._unrest = Unrest()
        self._space = space = load_space(job.space)
        self._task_code = job.task_code()
        setting = space.setting(**job.sizes)
        supernet = supernet_with(space, job.weights, job.seed)
        self._evaluator: Evaluator | None = None
        if job.task is None or ACCURACY not in job.goal.keys:
            self.export = CandidateExporter(space, supernet, setting, seed=job.seed).export
        else:
            task = load_task(job.task)
            data = task.data(inputs_of(space, setting))
            self._evaluator = Evaluator(space, supernet, setting, task, data)
            self.export = self._evaluator.export

    def trials(
        self, candidates: Sequence[Candidate], *, examples: int | None = None, fresh: bool = False
    ) -> list[Trial]:
        """Return what is found of candidates, in their order.

        Accuracies are those on the first `examples` examples for evaluation (None: all). `fresh` measures again what
        the store has.

        Raises:
            InfrastructureError: a device failed; what was measured before is kept.
            KeyboardInterrupt: the user stopped it; what was measured before is kept.
        """
        with scratch_folder("search") as folder:
            found = [self._exported(candidate, folder, examples) for candidate in candidates]
            exported = [one for one in found if isinstance(one, _Exported)]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                accuracies = list(pool.map(lambda one: self._accuracy(one, examples), exported))
            measured = self._measured(exported, fresh)
            trials = {
                one.candidate: self._trial(one, accuracy, measured)
                for one, accuracy in zip(exported, accuracies, strict=True)
            }
        return [one if isinstance(one, Trial) else trials[one.candidate] for one in found]

    def _exported(self, candidate: Candidate, folder: Path, examples: int | None) -> _Exported | Trial:
        """Export a candidate; one that cannot be is a trial without values."""
        try:
            subnets = self.export(candidate)
        except (ModelError, UsageError) as error:
            return Trial(candidate, None, f"it cannot be exported: {error}")
        files = write_subnets(candidate, self._space.name, subnets, folder)
        about = {
            "models": [digest_file(file.path) for file in files],
            "task": self._job.task,
            "task_code": self._task_code,
            "examples": examples,
            "onnxruntime": onnxruntime.__version__,
        }
        return _Exported(candidate, subnets, files, about)

    def _accuracy(self, one: _Exported, examples: int | None) -> float | None:
        """Return the accuracy of an artifact, from the store if it is there; None where none is wanted."""
        if self._evaluator is None:
            return None
        known = self._searches.accuracy(one.about)
        if known is not None:
            return known
        value = self._evaluator.judged(one.subnets, examples)
        self._searches.add_accuracy(one.about, value)
        return value

    def _measured(self, exported: Sequence[_Exported], fresh: bool) -> dict[tuple[str, str], Measurement]:
        """Return the measurement of each file on each device, by the file's name and the device's."""
        if not exported:
            return {}
        files = [file for one in exported for file in one.files]
        loaded = load_workloads([file.path for file in files], {}, {}, self._job.seed)
        workloads = [replace(one, candidate=file.candidate) for one, file in zip(loaded, files, strict=True)]
        job = MeasureJob(workloads, self._job.devices, [self._job.runtime], self._job.protocol, fresh=fresh)
        with self._watching() as observer:
            outcome = measure_trusted(job, self._store, observer)
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.device_errors:
            raise outcome.device_errors[0]
        found = {(one.subject.model, one.subject.device): one for one in outcome.measurements}
        for device in self._job.devices:
            self._unrest.watch(device.name, [one for (_, name), one in found.items() if name == device.name])
        return found

    def _trial(self, one: _Exported, accuracy: float | None, measured: dict[tuple[str, str], Measurement]) -> Trial:
        devices = self._job.devices
        parts = {device.name: [measured[file.path.stem, device.name] for file in one.files] for device in devices}
        everything = [part for found in parts.values() for part in found]
        ids = tuple(part.id for part in everything)
        useless = [part for part in everything if part.verdict is not Verdict.VALID]
        if useless:
            subject = useless[0].subject
            why = "; ".join(useless[0].reasons)
            return Trial(one.candidate, None, f"{useless[0].verdict} on {subject.device}: {why}", ids)
        values = {self._job.latency_key(device): self._latency(device, one, parts[device.name]) for device in devices}
        values[SIZE] = float(sum(part.subject.artifact_bytes for part in parts[devices[0].name]))
        if accuracy is not None:
            values[ACCURACY] = accuracy
        return Trial(one.candidate, values, measurements=ids)

    def _latency(self, device: Device, one: _Exported, parts: Sequence[Measurement]) -> float:
        """Return what all parts take together, each as often as it runs: ms, or instructions on an emulated device."""
        found = [part.summary.insns_per_call if device.emulated else part.summary.median_ms for part in parts]
        return sum(file.repeats * value for file, value in zip(one.files, found, strict=True) if value is not None)
