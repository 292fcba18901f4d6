"""A network's latency as a sum over its kernels, learned from latencies of whole networks.

Each kernel costs a launch plus non-negative multiples of its amounts and of roofline terms `max(operations, r * bytes)`
for a few balances r of operations to bytes (S. Williams, A. Waterman and D. Patterson, Roofline, 2009); each kind of
kernel has multiples of its own, and the network has a fixed cost. All of it is linear in what is to be learned, so the
whole is one non-negative least-squares problem (C. Lawson and R. Hanson, Solving least squares problems, 1974) on
relative errors, with Huber's weights against rows that do not fit.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from scipy.optimize import nnls

from hwloop.predictor.base import State
from hwloop.predictor.features import Features, Floats, KernelTable
from hwloop.predictor.trimming import robust_deviation

BALANCE_QUANTILES = (0.2, 0.5, 0.8)
ROUNDS = 5
HUBER = 1.345  # robust deviations; 95 % efficient for normal errors
DAMPING = 1e-2  # of each term's share in a typical latency


class KernelSum:
    """A non-negative cost for each kernel, by its kind. Needs kernels with amounts `operations` and `bytes`."""

    name: ClassVar[str] = "kernel-sum"

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn; see `Estimator`."""
        kernels = _kernels(features)
        self._kinds, self._columns = kernels.kinds, kernels.columns
        intensity = _amount(kernels, "operations") / np.maximum(_amount(kernels, "bytes"), 1)
        self._balances = np.unique(np.quantile(intensity[intensity > 0], BALANCE_QUANTILES)) + 1e-9
        sums = kernels.sums(self._terms(kernels))[:, :-1]
        rows, kinds, terms = sums.shape
        design = np.column_stack([np.ones(rows), sums.reshape(rows, -1)]) / latencies_ms[:, None]
        size = np.maximum(np.abs(design).mean(axis=0), 1e-300)
        costs = _relative_nnls(design / size) / size
        self._fixed_ms = float(costs[0])
        self._costs = costs[1:].reshape(kinds, terms)
        count = np.array([(kernels.kind == kind).sum() for kind in range(kinds)], float)
        # A kind never seen costs what a kernel costs on average over the kinds.
        self._usual = count @ self._costs / count.sum()

    def predict_ms(self, features: Features) -> Floats:
        """Return latencies; see `Estimator`. Kernels of unknown kinds cost what is usual."""
        kernels = _kernels(features).spoken(self._kinds)
        costs = np.vstack([self._costs, self._usual])
        latencies: Floats = np.einsum("rkt,kt->r", kernels.sums(self._terms(kernels)), costs) + self._fixed_ms
        return np.maximum(latencies, 1e-9)

    def _terms(self, kernels: KernelTable) -> Floats:
        operations, moved = _amount(kernels, "operations"), _amount(kernels, "bytes")
        roofline = [np.maximum(operations, balance * moved) for balance in self._balances]
        return np.column_stack([np.ones(len(operations)), kernels.values, *roofline])

    def state(self) -> State:
        """Return what was learned; see `Estimator`."""
        return {
            "kinds": np.array(self._kinds, str),
            "columns": np.array(self._columns, str),
            "balances": self._balances,
            "costs": self._costs,
            "usual": self._usual,
            "fixed_ms": np.array(self._fixed_ms),
        }

    @classmethod
    def restore(cls, state: State) -> Self:
        """Return the estimator whose `state` that was."""
        new = cls()
        new._kinds = tuple(str(kind) for kind in state["kinds"])
        new._columns = tuple(str(column) for column in state["columns"])
        new._balances, new._costs = state["balances"].astype(float), state["costs"].astype(float)
        new._usual, new._fixed_ms = state["usual"].astype(float), float(state["fixed_ms"])
        return new


def _relative_nnls(design: Floats) -> Floats:
    """Return the non-negative costs for which `design @ costs` is nearest to 1, with Huber's weights."""
    rows, terms = design.shape
    damping = DAMPING * np.sqrt(rows) * np.eye(terms) / terms
    weights = np.ones(rows)
    costs = np.zeros(terms)
    for _ in range(ROUNDS):
        stacked = np.vstack([design * weights[:, None], damping])
        costs = nnls(stacked, np.concatenate([weights, np.zeros(terms)]))[0]
        error = np.abs(design @ costs - 1)
        reach = HUBER * max(robust_deviation(design @ costs - 1), 1e-9)
        weights = np.sqrt(np.minimum(1, reach / np.maximum(error, 1e-12)))
    return costs


def _kernels(features: Features) -> KernelTable:
    assert features.kernels is not None, "a kernel sum is chosen only where kernels are known"
    return features.kernels


def _amount(kernels: KernelTable, column: str) -> Floats:
    return kernels.values[:, kernels.columns.index(column)]
