"""The figures that a plan's cases are held against: a JSON file that is checked in beside the plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.records import Measurement

FORMAT = 1
UPDATE = "`hwloop ci --update-baseline` writes it anew."


@dataclass(frozen=True)
class Entry:
    """What a case measured when the baseline was written; `measurement_id` is what `compare` runs again."""

    measurement_id: str
    model_digest: str
    artifact_digest: str
    runtime_version: str
    insns_per_call: float | None
    median_ms: float | None
    artifact_bytes: int
    peak_rss_mb: float | None

    @classmethod
    def of(cls, measurement: Measurement) -> Entry:
        """Return the entry of a measurement."""
        subject, summary = measurement.subject, measurement.summary
        return cls(
            measurement.id,
            subject.model_digest,
            subject.artifact_digest,
            subject.runtime_version,
            summary.insns_per_call,
            summary.median_ms,
            subject.artifact_bytes,
            summary.peak_rss_mb,
        )


Baseline = Mapping[str, Entry]


def read_baseline(file: Path) -> Baseline:
    """Return the entries of a file by the cases' names; none where there is no file.

    Raises:
        UsageError: it is no baseline, or that of a newer hwloop.
    """
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: the baseline cannot be read ({error})", remedy=UPDATE) from error
    version = found.get("format") if isinstance(found, dict) else None
    if version != FORMAT:
        raise UsageError(f"{file}: it is a baseline of format {version}, not {FORMAT}", remedy=UPDATE)
    try:
        return {name: Entry(**entry) for name, entry in found["cases"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: the baseline is not of the agreed form ({error})", remedy=UPDATE) from error


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write a baseline, a line for each figure, so that a change of it can be reviewed.

    Raises:
        UsageError: it cannot be written there.
    """
    cases = {name: asdict(entry) for name, entry in sorted(baseline.items())}
    try:
        file.write_text(json.dumps({"format": FORMAT, "cases": cases}, indent=2) + "\n")
    except OSError as error:
        raise UsageError(f"{file}: the baseline cannot be written ({error.strerror})") from error
