"""Measurements as compact rows: words once, figures to five digits, the samples of each process thinned and packed."""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Sequence
from datetime import datetime

from hwloop.records import Measurement
from hwloop.store import Store
from hwloop.store.samples import samples_of

KEPT_SAMPLES = 64  # of each process
STEPS = 65535
DIGEST_DIGITS = 12
COLUMNS = (
    "id",
    "at",
    "model",
    "digest",
    "device",
    "runtime",
    "version",
    "threads",
    "batch",
    "emulated",
    "verdict",
    "reasons",
    "median_ms",
    "low_ms",
    "high_ms",
    "p90_ms",
    "p99_ms",
    "min_ms",
    "samples",
    "rss_mb",
    "bytes",
    "error",
    "instructions",
)


class Words:
    """Texts that stand in the page once, and are named by their places."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Return the place of a text."""
        return self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> list[str]:
        """Every text, in order of places."""
        return list(self._places)


def measurement_data(store: Store, found: Sequence[Measurement]) -> dict[str, object]:
    """Return the rows of some measurements, and the samples of each process by the row's place.

    Those of a measurement without any are None; `packed` says how the others are written.
    """
    words = Words()
    rows = [_row(one, words) for one in found]
    processes: dict[str, list[tuple[int, ...]]] = {}
    for each in samples_of(store, [one.id for one in found]):
        if each.values:
            processes.setdefault(each.measurement_id, []).append(each.values)
    samples = [packed(processes.get(one.id, [])) for one in found]
    return {"columns": COLUMNS, "words": words.texts, "rows": rows, "samples": samples}


def _row(one: Measurement, words: Words) -> list[object]:
    subject, summary = one.subject, one.summary
    low, high = summary.ci95_ms or (None, None)
    return [
        one.id,
        round(datetime.fromisoformat(one.created_at).timestamp()),
        words.place(subject.model),
        words.place(subject.model_digest[:DIGEST_DIGITS]),
        words.place(subject.device),
        words.place(subject.runtime),
        words.place(subject.runtime_version),
        subject.threads,
        subject.batch,
        int(subject.emulated),
        words.place(one.verdict.value),
        words.place("; ".join(one.reasons)),
        *map(
            short,
            (summary.median_ms, low, high, summary.p90_ms, summary.p99_ms, summary.min_ms),
        ),
        summary.samples,
        short(summary.peak_rss_mb),
        subject.artifact_bytes,
        short(summary.output_max_abs_err),
        short(summary.insns_per_call, 8),
    ]


def short(value: float | None, digits: int = 5) -> float | str | None:
    """Return a figure to some digits; JSON has no infinity, which becomes `inf`."""
    if value is None:
        return None
    if not math.isfinite(value):
        return "inf"
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def packed(processes: Sequence[Sequence[int]]) -> list[object] | None:
    """Return the samples of processes as `[one step, the least sample, [count, greatest, text]...]`.

    The text is base64 of 16-bit little-endian numbers of steps above the least. Of more than 64 samples of a process,
    64 evenly spaced ones are kept.
    """
    kept = [thinned(values) for values in processes]
    if not kept:
        return None
    least, greatest = min(map(min, kept)), max(map(max, kept))
    step = max(1.0, (greatest - least) / STEPS)
    parts: list[object] = [short(step, 12), least]
    for values, whole in zip(kept, processes, strict=True):
        steps = array("H", (round((value - least) / step) for value in values))
        if sys.byteorder == "big":
            steps.byteswap()
        parts.append([len(whole), max(whole), base64.b64encode(steps.tobytes()).decode()])
    return parts


def thinned(values: Sequence[int], kept: int = KEPT_SAMPLES) -> Sequence[int]:
    """Return so many values, evenly spaced in their order; all where there are no more."""
    if len(values) <= kept:
        return values
    return [values[place * (len(values) - 1) // (kept - 1)] for place in range(kept)]
