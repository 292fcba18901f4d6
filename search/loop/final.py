"""The front once more: measured afresh, judged on all data, beside what a predictor says that never saw it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hwloop.devices.fleet import Device
from hwloop.learning.fitting import Fitting
from hwloop.learning.networks import CandidateNetworks
from hwloop.learning.recipe import FeatureKind
from hwloop.learning.rows import find_rows
from hwloop.learning.totals import predicted
from hwloop.records import Candidate
from hwloop.records.search import Trial
from hwloop.search.loop.bench import Bench
from hwloop.search.loop.job import SearchJob
from hwloop.store import Store


@dataclass(frozen=True)
class Foretold:
    """A latency that a predictor gives: the mean and the ends of its 90 % interval, in the objective's unit."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Final:
    """A candidate of the front: as the search measured it, as it was measured again, and as predicted by objective."""

    searched: Trial
    again: Trial
    predicted: Mapping[str, Foretold]
    keeps: bool  # the constraints, in the second measurement

    @property
    def candidate(self) -> Candidate:
        """The candidate."""
        return self.searched.candidate

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "candidate": self.candidate.as_json(),
            "searched": self.searched.as_json(),
            "again": self.again.as_json(),
            "predicted": {key: asdict(found) for key, found in self.predicted.items()},
            "keeps_constraints": self.keeps,
        }


def finals_of(
    job: SearchJob, bench: Bench, store: Store, trials: Sequence[Trial], best: Sequence[Candidate]
) -> list[Final]:
    """Measure the best candidates again, judge them on all of the task's examples, and predict them.

    Raises:
        InfrastructureError: a device failed.
    """
    if not best:
        return []
    searched = {trial.candidate: trial for trial in trials}
    known = [one for candidate in best for one in searched[candidate].measurements]
    unseen = frozenset(store.get(one, with_runs=False).subject.model_digest for one in known)
    foretold = {job.latency_key(device): foretell(job, store, device, searched, best, unseen) for device in job.devices}
    finals = []
    for again in bench.trials(best, fresh=True):
        found = {key: by[again.candidate] for key, by in foretold.items() if again.candidate in by}
        keeps = again.values is not None and job.goal.violation(again.values) == 0
        finals.append(Final(searched[again.candidate], again, found, keeps))
    return finals


def foretell(
    job: SearchJob,
    store: Store,
    device: Device,
    candidates: Collection[Candidate],
    best: Sequence[Candidate],
    unseen: frozenset[str],
) -> dict[Candidate, Foretold]:
    """Predict the best candidates' latency from what the search measured of the others; empty if that is too little.

    `unseen` are digests of models that nothing is learned from: others have some of the best's parts, too.
    """
    threads = device.settings.threads or job.protocol.threads
    rows = find_rows(store, device.name, job.runtime.name, threads=threads, batch=job.sizes.get("batch", 1))
    if rows is None:
        return {}
    rows = rows.of_candidates(candidates).without(unseen)
    if len(rows) < Fitting.least_rows:
        return {}
    predictor = Fitting(FeatureKind.BOTH, job.seed).fit(rows, validate=False)
    maker = CandidateNetworks(job.space, job.sizes, job.seed)
    networks = [network for candidate in best for network in maker.of(candidate)]
    figures, _ = predicted(predictor, networks)
    return {
        figure.candidate: Foretold(figure.mean, figure.low, figure.high)
        for figure in figures
        if figure.candidate is not None and not figure.part
    }
