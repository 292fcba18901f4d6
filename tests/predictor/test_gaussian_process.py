"""The Gaussian process on data that strains it: columns that say the same, few rows."""

import numpy as np
import pytest

from hwloop.predictor.features import Features
from hwloop.predictor.gaussian_process import GaussianProcess


@pytest.mark.parametrize("rows", [6, 12, 60])
@pytest.mark.parametrize("copies", [2, 12])
def test_columns_that_say_the_same_are_no_trouble(rows, copies):
    random = np.random.default_rng(rows)
    base = random.integers(1, 4, (rows, 2)).astype(float)
    values = np.hstack([base * (1 + copy) for copy in range(copies)])
    latencies = (3 + base @ [2.0, 5.0]) * np.exp(random.normal(0, 0.01, rows))
    features = Features(tuple(f"c{column}" for column in range(values.shape[1])), values)
    model = GaussianProcess()
    model.fit(features, latencies)
    assert np.abs(model.predict_ms(features) / latencies - 1).max() < 0.1
