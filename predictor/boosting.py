"""Gradient-boosted trees on logarithms of latency (J. Friedman, Greedy function approximation, 2001).

scikit-learn grows the trees; they are kept as plain arrays, from which predictions are made here, so that a saved
model holds no Python objects.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor

from hwloop.predictor.base import State
from hwloop.predictor.features import Features, Floats

TREES = 150
RATE = 0.08
DEPTH = 4


class Boosting:
    """Boosted trees of depth 4, on logarithms."""

    name: ClassVar[str] = "boosting"

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn; see `Estimator`."""
        log_ms = np.log(latencies_ms)
        self._base = float(log_ms.mean())
        target = np.round(log_ms - self._base, 9)  # splits that are equally good stay so in another unit of time
        grower = GradientBoostingRegressor(
            n_estimators=TREES, learning_rate=RATE, max_depth=DEPTH, subsample=0.7, min_samples_leaf=3, random_state=0
        )
        grower.fit(features.values, target)
        trees = [stage[0].tree_ for stage in grower.estimators_]
        self._base += float(grower.init_.constant_[0, 0])
        most = max(tree.node_count for tree in trees)
        shape = (len(trees), most)
        self._feature, self._children = np.full(shape, -1, np.intp), np.zeros((2, *shape), np.intp)
        self._threshold, self._value = np.zeros(shape), np.zeros(shape)
        for index, tree in enumerate(trees):
            nodes = slice(0, tree.node_count)
            inner = tree.children_left >= 0
            self._feature[index, nodes] = np.where(inner, tree.feature, -1)
            self._children[0, index, nodes] = np.where(inner, tree.children_left, np.arange(tree.node_count))
            self._children[1, index, nodes] = np.where(inner, tree.children_right, np.arange(tree.node_count))
            self._threshold[index, nodes] = tree.threshold
            self._value[index, nodes] = RATE * tree.value[:, 0, 0]

    def predict_ms(self, features: Features) -> Floats:
        """Return latencies; see `Estimator`."""
        values: NDArray[np.float32] = features.values.astype(np.float32)  # as scikit-learn compares them
        rows, trees = np.arange(len(values))[:, None], np.arange(len(self._feature))
        node = np.zeros((len(values), len(trees)), np.intp)
        for _ in range(DEPTH):
            feature = self._feature[trees, node]
            right = (feature >= 0) & (values[rows, feature] > self._threshold[trees, node])
            node = np.where(right, self._children[1][trees, node], self._children[0][trees, node])
        logs: Floats = self._base + self._value[trees, node].sum(axis=1)
        return np.exp(logs)

    def state(self) -> State:
        """Return what was learned; see `Estimator`."""
        return {
            "feature": self._feature,
            "children": self._children,
            "threshold": self._threshold,
            "value": self._value,
            "base": np.array(self._base),
        }

    @classmethod
    def restore(cls, state: State) -> Self:
        """Return the estimator whose `state` that was."""
        new = cls()
        new._feature, new._children = state["feature"].astype(np.intp), state["children"].astype(np.intp)
        new._threshold, new._value = state["threshold"].astype(float), state["value"].astype(float)
        new._base = float(state["base"])
        return new
