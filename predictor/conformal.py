"""Intervals out of residuals of rows that were held out, with no belief in their distribution.

V. Vovk, A. Gammerman and G. Shafer, Algorithmic learning in a random world, 2005.
"""

from __future__ import annotations

import numpy as np

from hwloop.predictor.features import Floats


def conformal_quantile(scores: Floats, confidence: float) -> float:
    """Return the score that so large a share of rows stays below, one more row than seen counted."""
    share = min(1.0, np.ceil((len(scores) + 1) * confidence) / len(scores))
    return float(np.quantile(scores, share, method="higher"))
