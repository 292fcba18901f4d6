"""What nothing can be learned from is refused, with the reason and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwloop.errors import UsageError
from hwloop.predictor.features import Features, Floats

LEAST_ROWS = 10


def check_fit(features: Features, latencies_ms: Floats, least_rows: int = LEAST_ROWS) -> None:
    """Raise UsageError unless a model can be learned from these rows."""
    if latencies_ms.ndim != 1 or len(latencies_ms) != len(features):
        raise UsageError(
            f"{len(features)} rows of features, but latencies of shape {latencies_ms.shape}",
            remedy="Give one latency for each row.",
        )
    if len(features) < least_rows:
        raise UsageError(
            f"{len(features)} measured rows are too few to learn from; {least_rows} are needed",
            remedy="Measure more candidates.",
        )
    bad = ~(np.isfinite(latencies_ms) & (latencies_ms > 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UsageError(
            f"the latency of row {row} is {latencies_ms[row]}; {int(bad.sum())} of {len(bad)} are no positive numbers",
            remedy="Leave these rows out: a failed measurement has no latency.",
        )
    if np.ptp(latencies_ms) == 0:
        raise UsageError(
            f"all {len(features)} latencies are {latencies_ms[0]} ms, which teaches nothing",
            remedy="Measure candidates that differ.",
        )


def check_columns(expected: Sequence[str], features: Features) -> None:
    """Raise UsageError unless features have exactly the columns that a model has learned from, in their order."""
    if tuple(expected) == features.columns:
        return
    missing = [name for name in expected if name not in features.columns]
    extra = [name for name in features.columns if name not in expected]
    parts = [f"{what} {', '.join(names[:5])}" for what, names in (("missing", missing), ("unknown", extra)) if names]
    raise UsageError(
        f"the features are not those that the model learned from: {'; '.join(parts) or 'their order differs'}",
        remedy="Compute them for the same space, or fit a model to these.",
    )


def check_alike(metadata: Sequence[Sequence[str]], names: Sequence[str]) -> None:
    """Raise UsageError where rows to be learned from together differ in what `names` says: device, protocol, ..."""
    for name, *values in zip(names, *metadata, strict=True):
        found = sorted(set(values))
        if len(found) > 1:
            raise UsageError(
                f"measurements with {len(found)} different values of {name} in one fit: {', '.join(found[:4])}",
                remedy=f"Choose the measurements of one {name}.",
            )
