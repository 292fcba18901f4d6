"""Fronts for each device: candidates of one space that are comparable, and which of them none other beats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hwloop.records import Candidate, Measurement, Verdict
from hwloop.report.measurements import short
from hwloop.report.objectives import Objective

LEAST_CANDIDATES = 3


@dataclass(frozen=True)
class Point:
    """A candidate in a front: its name, what it is in words, and its two values."""

    label: str
    details: Mapping[str, str]
    x: float
    y: float


@dataclass(frozen=True)
class Front:
    """Comparable candidates on one device; `title` says what they are, x and y what each is good at."""

    device: str
    title: str
    x: Objective
    y: Objective
    points: Sequence[Point]

    def as_json(self) -> dict[str, object]:
        """Return what the page reads; the points on the front are marked."""
        best = set(non_dominated([(_cost(self.x, one.x), _cost(self.y, one.y)) for one in self.points]))
        return {
            "device": self.device,
            "title": self.title,
            "x": self.x.as_json(),
            "y": self.y.as_json(),
            "points": [
                [one.label, short(one.x, 8), short(one.y, 8), int(place in best), list(one.details.items())]
                for place, one in enumerate(self.points)
            ],
        }


def size_fronts(found: Iterable[Measurement], candidates: Mapping[str, Candidate]) -> list[Front]:
    """Return size against latency of what was measured of each space, on each device; `found` is newest first.

    Only VALID measurements count, of each model the newest one, and only three candidates or more make a front.
    """
    groups: dict[tuple[str, str, bool], dict[str, Point]] = defaultdict(dict)
    for one in found:
        subject, candidate = one.subject, candidates.get(one.subject.model_digest)
        latency = one.summary.insns_per_call if subject.emulated else one.summary.median_ms
        if candidate is None or latency is None or one.verdict is not Verdict.VALID:
            continue
        # Parts of a candidate are files of their own, named SPACE-DIGEST.PART: encoders beside encoders alone.
        part = subject.model.partition(f"-{candidate.digest[:8]}.")[2]
        title = f"{candidate.space}{f' ({part})' if part else ''} with {subject.runtime}"
        title += f", {subject.threads} threads" if subject.threads > 1 else ""
        title += f", batch {subject.batch}" if subject.batch > 1 else ""
        points = groups[subject.device, title, subject.emulated]
        points.setdefault(
            subject.model_digest, Point(subject.model, candidate_words(candidate), latency, subject.artifact_bytes)
        )
    size = Objective("size", "bytes")
    return [
        Front(device, title, Objective("latency", "instructions" if emulated else "ms"), size, list(points.values()))
        for (device, title, emulated), points in sorted(groups.items())
        if len(points) >= LEAST_CANDIDATES
    ]


def candidate_words(candidate: Candidate) -> dict[str, str]:
    """Return the choices and the policy of a candidate in words."""
    words = {name: str(value) for name, value in candidate.arch.choices.items()}
    return words | {f"scheme of {name}": scheme.value for name, scheme in candidate.policy.rules.items()}


def non_dominated(costs: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of those pairs of costs that no other pair beats in one and equals or beats in the other."""
    best: list[int] = []
    least = float("inf")
    last: tuple[float, float] | None = None
    for place in sorted(range(len(costs)), key=lambda place: costs[place]):
        if costs[place][1] < least or costs[place] == last:
            best.append(place)
            least, last = costs[place][1], costs[place]
    return best


def _cost(objective: Objective, value: float) -> float:
    return -value if objective.maximize else value
