"""A search from its first batch to its front; stopped at any moment, it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwloop.errors import UsageError
from hwloop.records import Candidate
from hwloop.records.search import Trial
from hwloop.search.goals import closest, front
from hwloop.search.loop.bench import Bench
from hwloop.search.loop.final import Final, finals_of
from hwloop.search.loop.job import SearchJob
from hwloop.search.strategies.base import Result, Strategy
from hwloop.search.strategies.registry import load_strategy
from hwloop.store import Store
from hwloop.store.searches import Searches


@dataclass(frozen=True)
class Round:
    """How far a search is: trials so far, those of them without values, and the size of the front."""

    number: int
    trials: int
    failed: int
    front: int


@dataclass(frozen=True)
class Found:
    """What a search came to: all trials in batches, and its front, measured again.

    Where nothing keeps the constraints, `front` is empty and `closest` is the trial that misses them least; it is None
    where nothing could be measured at all.
    """

    search_id: str
    batches: tuple[tuple[Trial, ...], ...]
    front: tuple[Final, ...]
    closest: Trial | None = None

    @property
    def trials(self) -> list[Trial]:
        """All trials in order."""
        return [trial for batch in self.batches for trial in batch]

    @property
    def prediction_errors(self) -> list[float]:
        """By which share of what was measured again each predicted latency of the front is off."""
        return [
            abs(told.mean / final.again.values[key] - 1)
            for final in self.front
            for key, told in final.predicted.items()
            if final.again.values
        ]


def search(job: SearchJob, bench: Bench, store: Store, told: Callable[[Round], None] = lambda _round: None) -> Found:
    """Run a search until its budget is spent or its space exhausted, and measure its front again.

    Each batch is in the store as soon as it is measured. A search that was stopped goes on: what it asked for and was
    told is replayed, so it ends as if it had never been stopped.

    Raises:
        UsageError: the strategy asks for something else than it did before it was stopped.
        InfrastructureError: a device failed; what was measured before is kept.
        KeyboardInterrupt: the user stopped it; what was measured before is kept.
    """
    searches = Searches(store)
    stored = searches.resume(job.request())
    strategy = load_strategy(job.strategy, job.genome, job.goal, job.seed)
    batches = list(stored.batches)
    for number, batch in enumerate(batches, 1):
        _replay(strategy, batch, job, spent=sum(map(len, batches[: number - 1])))
        told(_round(job, batches[:number]))
    while asked := strategy.ask(_size(job, sum(map(len, batches)))):
        trials = bench.trials(asked, examples=job.examples)
        searches.add_batch(stored.id, len(batches), trials)
        batches.append(tuple(trials))
        strategy.tell(_results(trials))
        told(_round(job, batches))
    everything = [trial for batch in batches for trial in batch]
    best = front(job.goal, _results(_distinct(everything)))
    finals = finals_of(job, bench, store, everything, [result.candidate for result in best])
    found = Found(stored.id, tuple(batches), tuple(finals), None if finals else _closest(job, everything))
    searches.finish(stored.id, outcome_json(found))
    return found


def outcome_json(found: Found) -> dict[str, object]:
    """Return what a search came to, as it stands in the store."""
    return {
        "feasible": bool(found.front),
        "front": [final.as_json() for final in found.front],
        "closest": found.closest.as_json() if found.closest else None,
    }


def _size(job: SearchJob, spent: int) -> int:
    return min(job.batch, job.budget - spent)


def _replay(strategy: Strategy, batch: Sequence[Trial], job: SearchJob, spent: int) -> None:
    """Ask and tell what was asked and told before."""
    asked = strategy.ask(_size(job, spent))
    before: list[Candidate] = [trial.candidate for trial in batch]
    if asked != before:
        raise UsageError(
            "this search was begun by another version of its strategy or space, and cannot go on from there",
            remedy="Begin anew with another --seed; what was measured is in the store and is not measured again.",
        )
    strategy.tell(_results(batch))


def _results(trials: Sequence[Trial]) -> list[Result]:
    return [Result(trial.candidate, trial.values) for trial in trials]


def _distinct(trials: Sequence[Trial]) -> list[Trial]:
    """Return the first trial of each network: two candidates can be the same one, and have the same measurements."""
    firsts: dict[object, Trial] = {}
    for trial in trials:
        firsts.setdefault(trial.measurements or trial.candidate, trial)
    return list(firsts.values())


def _round(job: SearchJob, batches: Sequence[Sequence[Trial]]) -> Round:
    trials = [trial for batch in batches for trial in batch]
    failed = sum(trial.values is None for trial in trials)
    return Round(len(batches), len(trials), failed, len(front(job.goal, _results(_distinct(trials)))))


def _closest(job: SearchJob, trials: Sequence[Trial]) -> Trial | None:
    found = closest(job.goal, _results(trials))
    return None if found is None else next(trial for trial in trials if trial.candidate == found.candidate)
