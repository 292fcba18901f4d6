"""Networks with known latencies."""

import numpy as np
import pytest

from hwloop.predictor.features import Features, KernelTable


@pytest.fixture
def networks():
    """A function that draws (features, true latencies in ms, noisy latencies): a sum of terms, and one product."""

    def draw(rows=200, seed=0, noise=0.02):
        chance = np.random.default_rng(seed)
        values = chance.uniform(1, 4, (rows, 5))
        depth, width, heads, kernel, nothing = values.T
        true = 3 + depth * (2 + width) + 0.5 * heads + kernel + 0 * nothing
        names = ["depth", "width", "heads", "kernel", "nothing"]
        return Features.of(names, values), true, true * np.exp(noise * chance.standard_normal(rows))

    return draw


@pytest.fixture
def kernels():
    """A function that draws (features of kernels alone, latencies in ms): a roofline, a launch cost, and noise."""

    def draw(rows=120, seed=0, noise=0.0, kinds=("conv", "matmul", "softmax")):
        chance = np.random.default_rng(seed)
        models, latencies = [], []
        for _ in range(rows):
            model, latency = [], 0.2
            for _ in range(chance.integers(3, 12)):
                kind = str(chance.choice(kinds))
                operations, moved = np.exp(chance.uniform(8, 16)), np.exp(chance.uniform(8, 14))
                model.append((kind, (operations, moved)))
                peak = 4e6 if kind == "conv" else 2e6
                latency += 0.01 + max(operations / peak, moved / 1e6)
            models.append(model)
            latencies.append(latency * np.exp(noise * chance.standard_normal()))
        return Features.of_kernels(KernelTable.of(models, ["operations", "bytes"])), np.array(latencies)

    return draw
