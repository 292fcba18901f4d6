"""Tuning the kernels of some models: other tiles and MetaSchedule's candidates against the rules' own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any, Protocol

from hwloop.deadline import Deadline
from hwloop.digests import digest_json
from hwloop.exporter.model import Model
from hwloop.exporter.schedules import Schedule, Trace, schedule_from_json
from hwloop.exporter.tuned import TIME, TRIAL, VERDICT, TunedKernels
from hwloop.exporter.tuning.kernels import Candidate, Kernel
from hwloop.exporter.tuning.race import Race
from hwloop.exporter.tuning.workbench import Built, Workbench, WorkbenchLost
from hwloop.records import Failure, Target
from hwloop.records.comparison import Finding, Judgement

LEAST_SHARE = 0.01  # of the models' time; what takes less is not worth tuning
PROMISING = 0.98  # a ratio in a short look; what does not reach it is not looked at for long
FINALISTS, LOOKS = 3, 3  # the first of many short looks was lucky, too


@dataclass(frozen=True)
class Effort:
    """How much is tried: MetaSchedule's candidates for each kernel; `fresh` measures again what is known."""

    trials: int
    fresh: bool = False


@dataclass(frozen=True)
class KernelReport:
    """What is known of one kernel of the models; times in milliseconds a call, `ratio` of the best by the rule's own.

    `models` are the digests of those that have it, `share` is of all the models' time, `schedule` None where nothing
    was shown to be faster than the rule. `tried` counts the candidates, of which `failed` could not be built or timed.
    """

    name: str
    digest: str
    rule: str
    models: frozenset[str]
    calls: int
    share: float
    rule_ms: float | None
    ratio: float
    schedule: Schedule | None
    tried: int
    failed: int


class Watcher(Protocol):
    """Who is told how tuning goes."""

    def say(self, text: str) -> None:
        """Something is worth a line."""

    def progressed(self, what: str, share: float) -> None:
        """Tuning is busy with `what`; `share` (0 to 1) of the time that is worth tuning is done."""


class Tuner:
    """Tunes for one target. Everything measured is kept at once, so that another tuner goes on from there."""

    def __init__(
        self,
        workbench: Workbench,
        tuned: TunedKernels,
        target: Target,
        effort: Effort,
        deadline: Deadline,
        notes: Mapping[str, object],
        watcher: Watcher,
    ) -> None:
        self._workbench = workbench
        self._tuned = tuned
        self._target = target
        self._effort = effort
        self._deadline = deadline
        self._notes = notes
        self._watcher = watcher
        self._since = len(tuned.entries(target)) if effort.fresh else 0
        self._loaded: Model | None = None
        self._kernels: list[tuple[Model, Kernel]] | None = None
        self._models: dict[str, frozenset[str]] = {}  # by the digest of a kernel

    def tune(self, models: Sequence[Model], race: Race) -> list[KernelReport]:
        """Tune what is worth it, the longest first, until all is done or the deadline has passed.

        Called again after `race` raised, it goes on.

        Raises:
            HwloopError: whatever `race` raises.
        """
        if self._kernels is None:
            self._kernels = self._distinct(models)
        times = self._known_times()
        for model, kernel in self._kernels:
            self._watcher.progressed(f"timing {kernel.name}", 0.0)
            if kernel.digest not in times and not self._deadline.expired:
                times |= self._time(model, kernel, race)
        whole = sum(times.get(kernel.digest, 0.0) * kernel.calls for _, kernel in self._kernels) or 1.0
        shares = {kernel.digest: times.get(kernel.digest, 0.0) * kernel.calls / whole for _, kernel in self._kernels}
        done = 0.0
        for model, kernel in sorted(self._kernels, key=lambda one: -shares[one[1].digest]):
            if shares[kernel.digest] >= LEAST_SHARE and not self._deadline.expired:
                self._watcher.progressed(f"tuning {kernel.name}", done)
                self._tune_kernel(model, kernel, race)
            done += shares[kernel.digest]
        reports = [self._report(kernel, shares[kernel.digest], times) for _, kernel in self._kernels]
        return sorted(reports, key=lambda report: -report.share)

    def _distinct(self, models: Sequence[Model]) -> list[tuple[Model, Kernel]]:
        """Return every kernel once, with the first model that has it; its calls are those of all models."""
        found: dict[str, tuple[Model, Kernel]] = {}
        for model in models:
            for kernel in self._load(model):
                first, known = found.get(kernel.digest, (model, None))
                calls = kernel.calls + (known.calls if known else 0)
                found[kernel.digest] = first, replace(known or kernel, calls=calls)
                self._models[kernel.digest] = self._models.get(kernel.digest, frozenset()) | {model.digest}
        return list(found.values())

    def _load(self, model: Model) -> list[Kernel]:
        self._loaded = None
        try:
            kernels = self._workbench.load(model)
        except WorkbenchLost as lost:
            kernels = lost.failure
        if isinstance(kernels, Failure):
            self._watcher.say(f"{model.path.name}: {kernels.message}")
            return []
        self._loaded = model
        return kernels

    def _build(self, model: Model, kernel: Kernel, schedules: Sequence[Schedule | None]) -> list[Built]:
        """Build in a workbench that has the model; a workbench that is lost takes nothing but these with it."""
        try:
            if self._loaded is not model:
                self._load(model)
            return self._workbench.build(kernel, schedules)
        except WorkbenchLost as lost:
            self._loaded = None
            return [lost.failure] * len(schedules)

    # ── what is known ──

    def _entries(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self._tuned.entries(self._target)[self._since :] if entry["kind"] == kind]

    def _known_times(self) -> dict[str, float]:
        return {entry["kernel"]: float(entry["ns"]) for entry in self._entries(TIME)}

    def _trials(self, kernel: Kernel) -> dict[str, tuple[Schedule, float | None]]:
        """Return the schedules that were tried for a kernel with their ratios, None where one failed."""
        return {
            digest_json(entry["schedule"]): (schedule_from_json(entry["schedule"]), entry["ratio"])
            for entry in self._entries(TRIAL)
            if entry["kernel"] == kernel.digest
        }

    def _keep(self, kind: str, kernel: Kernel, **entry: object) -> None:
        self._tuned.add(self._target, kind, {"kernel": kernel.digest, "name": kernel.name, **entry, **self._notes})

    # ── one kernel ──

    def _time(self, model: Model, kernel: Kernel, race: Race) -> dict[str, float]:
        (built,) = self._build(model, kernel, [None])
        found = built if isinstance(built, Failure) else race.time_ns(built)
        if isinstance(found, Failure):
            self._watcher.say(f"{kernel.name}: {found.message}")
            return {}
        self._keep(TIME, kernel, ns=found)
        return {kernel.digest: found}

    def _tune_kernel(self, model: Model, kernel: Kernel, race: Race) -> None:
        """Try what was not tried yet, then judge the best; a verdict stands until more trials are asked for."""
        known = {entry["kernel"]: entry for entry in self._entries(VERDICT)}.get(kernel.digest)
        if known and known["trials"] >= self._effort.trials:
            return
        tried = self._trials(kernel)
        left = [tiling for tiling in kernel.tilings if digest_json(tiling.as_json()) not in tried]
        rule, *others = self._build(model, kernel, [None, *left])
        if isinstance(rule, Failure):
            self._watcher.say(f"{kernel.name}: {rule.message}")
            return
        for schedule, other in zip(left, others, strict=True):
            self._try(kernel, rule, schedule, other, race)
        self._search(kernel, rule, race)
        if not self._deadline.expired:
            self._judge(model, kernel, rule, race)

    def _try(self, kernel: Kernel, rule: Candidate, schedule: Schedule, other: Built, race: Race) -> float | None:
        """Return the ratio of a candidate, once it is kept; None where it failed, or there is no time left."""
        if self._deadline.expired:
            return None
        found = other if isinstance(other, Failure) else race.ratio(rule, other)
        failure = found.message if isinstance(found, Failure) else ""
        ratio = None if isinstance(found, Failure) else found
        self._keep(TRIAL, kernel, schedule=schedule.as_json(), ratio=ratio, failure=failure)
        return ratio

    def _search(self, kernel: Kernel, rule: Candidate, race: Race) -> None:
        """Have MetaSchedule try as many candidates as are asked for and were not tried before."""
        done = sum(isinstance(schedule, Trace) for schedule, _ in self._trials(kernel).values())
        if done >= self._effort.trials or self._deadline.expired:
            return
        rule_s = self._known_times()[kernel.digest] / 1e9

        def timed(candidates: Sequence[tuple[Schedule, Built]]) -> list[float | None]:
            ratios = [self._try(kernel, rule, schedule, built, race) for schedule, built in candidates]
            if self._deadline.expired:
                raise _OutOfTime
            return [None if ratio is None else ratio * rule_s for ratio in ratios]

        try:
            self._workbench.search(kernel, self._effort.trials - done, timed)
        except _OutOfTime:
            self._workbench.close()
            self._loaded = None
        except WorkbenchLost as lost:
            self._loaded = None
            self._watcher.say(f"{kernel.name}: MetaSchedule: {lost.failure.message}")

    def _judge(self, model: Model, kernel: Kernel, rule: Candidate, race: Race) -> None:
        """Have the best of all trials judged against the rule; what is not shown to be faster is not taken."""
        best = self._best(model, kernel, rule, race)
        found = race.judge(rule, best) if best else None
        faster = isinstance(found, Judgement) and found.finding is Finding.FASTER and not found.reasons
        judged = found if isinstance(found, Judgement) and faster else None
        self._keep(
            VERDICT,
            kernel,
            schedule=best.schedule.as_json() if judged and best and best.schedule else None,
            ratio=judged.ratio if judged else 1.0,
            interval=judged.interval if judged else None,
            trials=self._effort.trials,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _best(self, model: Model, kernel: Kernel, rule: Candidate, race: Race) -> Candidate | None:
        """Return the trial that looks best when the first few are looked at again; None if none looks promising."""
        tried = [(ratio, schedule) for schedule, ratio in self._trials(kernel).values() if ratio is not None]
        first = [schedule for ratio, schedule in sorted(tried, key=lambda one: one[0]) if ratio < PROMISING][:FINALISTS]
        looked: list[tuple[float, Candidate]] = []
        for built in self._build(model, kernel, first):
            ratios = [] if isinstance(built, Failure) else [race.ratio(rule, built) for _ in range(LOOKS)]
            if isinstance(built, Candidate) and not any(isinstance(ratio, Failure) for ratio in ratios):
                looked.append((median(ratio for ratio in ratios if isinstance(ratio, float)), built))
        ratio, best = min(looked, key=lambda one: one[0], default=(1.0, None))
        return best if ratio < PROMISING else None

    def _report(self, kernel: Kernel, share: float, times: Mapping[str, float]) -> KernelReport:
        verdict = self._tuned.verdicts(self._target).get(kernel.digest)
        schedule = schedule_from_json(verdict["schedule"]) if verdict and verdict["schedule"] else None
        trials = self._trials(kernel).values()
        return KernelReport(
            kernel.name,
            kernel.digest,
            kernel.rule,
            self._models[kernel.digest],
            kernel.calls,
            share,
            times[kernel.digest] / 1e6 if kernel.digest in times else None,
            float(verdict["ratio"]) if verdict and schedule else 1.0,
            schedule,
            len(trials),
            sum(ratio is None for _, ratio in trials),
        )


class _OutOfTime(Exception):
    """The deadline passed in the midst of a search."""
