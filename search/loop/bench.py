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
from hwloop.digests import digest_bytes
from hwloop.errors import DeviceRestless, ModelError, UsageError
from hwloop.measure import MeasureJob, Observer, measure
from hwloop.measure.workload import Workload, load_workloads
from hwloop.records import Candidate, Measurement, Verdict
from hwloop.records.search import Trial
from hwloop.scratch import scratch_folder
from hwloop.search.checkpoints import supernet_with
from hwloop.search.evaluation import Evaluator
from hwloop.search.exports import CandidateExporter
from hwloop.search.goals import ACCURACY, SIZE
from hwloop.search.loop.job import SearchJob
from hwloop.search.spaces.registry import load_space
from hwloop.search.tasks.registry import load_task
from hwloop.search.training.run import inputs_of
from hwloop.store import Store
from hwloop.store.searches import Searches

if TYPE_CHECKING:
    from hwloop.search.subnets import Subnet

ATTEMPTS = 3  # at a measurement that can be trusted

Watching = Callable[[], AbstractContextManager[Observer]]


@dataclass(frozen=True)
class _Exported:
    """A candidate's files, how often each counts, and what its accuracy depends on."""

    candidate: Candidate
    subnets: list[Subnet]
    paths: list[Path]
    about: dict[str, Any] | None


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
        space = load_space(job.space)
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
        label = f"{candidate.space.rpartition(':')[2]}-{candidate.digest[:8]}"
        paths, digests = [], []
        for subnet in subnets:
            path = folder / f"{'.'.join([label, *([subnet.part] if subnet.part else [])])}.onnx"
            path.write_bytes(subnet.model.SerializeToString(deterministic=True))
            paths.append(path)
            digests.append(digest_bytes(path.read_bytes()))
        about = None
        if self._evaluator:
            about = {
                "models": digests,
                "task": self._job.task,
                "examples": examples,
                "onnxruntime": onnxruntime.__version__,
            }
        return _Exported(candidate, subnets, paths, about)

    def _accuracy(self, one: _Exported, examples: int | None) -> float | None:
        """Return the accuracy of an artifact, from the store if it is there; None where none is wanted."""
        if self._evaluator is None or one.about is None:
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
        paths = [path for one in exported for path in one.paths]
        owners = [one.candidate for one in exported for _ in one.paths]
        loaded = load_workloads(paths, {}, {}, self._job.seed)
        workloads = [replace(one, candidate=owner) for one, owner in zip(loaded, owners, strict=True)]
        found: dict[tuple[str, str], Measurement] = {}
        for attempt in range(ATTEMPTS):
            # A verdict of INVALID is the device's unrest, not the candidate's fault.
            again = [one for one in workloads if attempt == 0 or self._is_doubtful(one, found)]
            if again:
                found |= self._run(again, fresh=fresh or attempt > 0)
        self._refuse_unrest(found)
        return found

    def _refuse_unrest(self, found: dict[tuple[str, str], Measurement]) -> None:
        """Raise DeviceRestless where a device's figures can mostly not be trusted: they would teach nothing."""
        for device in self._job.devices:
            verdicts = [one.verdict for (_, name), one in found.items() if name == device.name]
            if verdicts.count(Verdict.INVALID) > len(verdicts) / 2:
                doubtful = [one for one in found.values() if one.verdict is Verdict.INVALID]
                raise DeviceRestless(
                    device.name,
                    f"most of its figures cannot be trusted: {'; '.join(doubtful[0].reasons)}",
                    remedy="End what else runs there, then give the same command: it goes on from here.",
                )

    def _is_doubtful(self, workload: Workload, found: dict[tuple[str, str], Measurement]) -> bool:
        places = [(workload.name, device.name) for device in self._job.devices]
        return any(found[place].verdict is Verdict.INVALID for place in places)

    def _run(self, workloads: Sequence[Workload], *, fresh: bool) -> dict[tuple[str, str], Measurement]:
        job = MeasureJob(workloads, self._job.devices, [self._job.runtime], self._job.protocol, fresh=fresh)
        with self._watching() as observer:
            outcome = measure(job, self._store, observer)
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.device_errors:
            raise outcome.device_errors[0]
        return {(one.subject.model, one.subject.device): one for one in outcome.measurements}

    def _trial(self, one: _Exported, accuracy: float | None, measured: dict[tuple[str, str], Measurement]) -> Trial:
        devices = self._job.devices
        parts = {device.name: [measured[path.stem, device.name] for path in one.paths] for device in devices}
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
        return sum(
            subnet.repeats * value for subnet, value in zip(one.subnets, found, strict=True) if value is not None
        )
