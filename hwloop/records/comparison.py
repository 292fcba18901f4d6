"""Two contestants timed in turns on one device, set by set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from hwloop.digests import digest_json
from hwloop.records.evidence import Evidence


class Finding(StrEnum):
    """What a comparison showed of B beside A."""

    FASTER = "faster"
    SLOWER = "slower"
    NONE = "no difference shown"


@dataclass(frozen=True)
class ComparisonProtocol:
    """How long two are compared, and in how many sets of fresh processes; the seed draws the order of turns."""

    seconds: float = 30.0
    sets: int = 15
    turn_seconds: float = 0.02
    warmup_seconds: float = 0.2
    threads: int = 1
    counted_calls: int = 6
    seed: int = 0
    process_deadline_s: float = 120.0


@dataclass(frozen=True)
class Contender:
    """What is compared: a model as one runtime runs it."""

    model: str
    model_digest: str
    artifact_digest: str
    inputs_digest: str
    runtime: str
    runtime_version: str


@dataclass(frozen=True)
class Match:
    """A against B, on which device and how; equal matches are one comparison."""

    a: Contender
    b: Contender
    device: str
    device_identity: str
    emulated: bool
    protocol: Mapping[str, object]

    @property
    def key(self) -> str:
        """The digest of what makes two comparisons the same; the models' names do not."""
        named = asdict(self)
        for side in ("a", "b"):
            del named[side]["model"]
        return digest_json(named)


@dataclass(frozen=True)
class Turn:
    """Calls of one contestant in a row: nanoseconds each, or instructions on an emulated device.

    `contestant` is 0 for A, 1 for B and 2 for the control, which is A once more in a process of its own.
    """

    contestant: int
    samples: tuple[int, ...]


Round = tuple[Turn, ...]


@dataclass(frozen=True)
class ComparisonSet:
    """One fresh process of each contestant, in rounds of turns that go there and back."""

    index: int
    started_at: str
    rounds: tuple[Round, ...]
    outputs_match: tuple[bool | None, ...]
    before: Evidence
    after: Evidence


@dataclass(frozen=True)
class Judgement:
    """What the sets show: `ratio` is B's time over A's, `control_ratio` A's over A's own.

    Intervals have the `confidence` given. `floor` is the noise floor, as a share: a difference below it is not
    claimed. All are None where the sets are too few.
    """

    finding: Finding
    confidence: float
    sets: int
    samples: int
    a_median_ms: float | None = None
    b_median_ms: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    control_ratio: float | None = None
    control_interval: tuple[float, float] | None = None
    floor: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A finished comparison as it stands in the store."""

    id: str
    created_at: str
    match: Match
    judgement: Judgement
