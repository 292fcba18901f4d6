"""How good predictions are. All latencies are positive arrays of one shape, (rows,)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import kendalltau, rankdata

from hwloop.predictor.features import Floats


@dataclass(frozen=True)
class Accuracy:
    """Predictions against measurements. Ranks are NaN where either side is constant."""

    rows: int
    mape_percent: float
    within_5_percent: float
    within_10_percent: float
    rmse_ms: float
    spearman: float
    kendall: float

    def rounded(self) -> dict[str, float]:
        """Return the figures as a dictionary, to 4 places."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Coverage:
    """How often the interval holds the measured latency, and how wide it is relative to the prediction."""

    coverage_percent: float
    mean_width_percent: float


def accuracy(measured_ms: Floats, predicted_ms: Floats) -> Accuracy:
    """Compare predictions with measurements; errors are relative to what was measured."""
    error = np.abs(predicted_ms / measured_ms - 1)
    return Accuracy(
        rows=len(measured_ms),
        mape_percent=100 * float(error.mean()),
        within_5_percent=100 * float((error <= 0.05).mean()),
        within_10_percent=100 * float((error <= 0.10).mean()),
        rmse_ms=float(np.sqrt(((predicted_ms - measured_ms) ** 2).mean())),
        spearman=spearman(measured_ms, predicted_ms),
        kendall=kendall(measured_ms, predicted_ms),
    )


def coverage(measured_ms: Floats, mean_ms: Floats, low_ms: Floats, high_ms: Floats) -> Coverage:
    """Return the share of measurements inside their intervals, and the mean width."""
    inside = (low_ms <= measured_ms) & (measured_ms <= high_ms)
    return Coverage(100 * float(inside.mean()), 100 * float(((high_ms - low_ms) / mean_ms).mean()))


def spearman(left: Floats, right: Floats) -> float:
    """Return Spearman's rank correlation, equal values sharing their mean rank."""
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(left), rankdata(right))[0, 1])


def kendall(left: Floats, right: Floats) -> float:
    """Return Kendall's tau-b."""
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(kendalltau(left, right).statistic)
