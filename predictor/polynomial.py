"""Polynomials of the features, with a ridge penalty: linear and quadratic, on relative errors or on logarithms.

On `relative` errors, latency is a sum of terms, as it is in a network of layers, and (predicted / measured - 1)^2 is
minimised. On `log`, logarithms of latency are fitted by polynomials of the logarithms of features (where these are
positive), which suits latencies that are products, and those over several orders of magnitude.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hwloop.predictor.base import State
from hwloop.predictor.features import Features, Floats
from hwloop.predictor.ridge import fit_ridge
from hwloop.predictor.standard import Standard

Scale = Literal["relative", "log"]
MOST_SQUARED_COLUMNS = 20  # products of more are too many to learn; the best correlated are taken
LOWEST_SHARE = 0.1  # of the smallest latency seen: a sum of terms must not fall to zero or below


class _Polynomial:
    name: ClassVar[str]
    degree: ClassVar[int]
    scale: ClassVar[Scale]

    def fit(self, features: Features, latencies_ms: Floats) -> None:
        """Learn; see `Estimator`."""
        values = features.values
        positive: NDArray[np.bool_] = np.all(values > 0, axis=0)
        self._logged = positive if self.scale == "log" else np.zeros_like(positive)
        self._first = Standard.of(self._transformed(values))
        standard = self._first(self._transformed(values))
        log_ms = np.log(latencies_ms)
        correlation = np.abs(standard.T @ (log_ms - log_ms.mean()))
        self._squared = np.sort(np.argsort(-correlation, kind="stable")[:MOST_SQUARED_COLUMNS])
        terms = self._terms(standard)
        self._second = Standard.of(terms)
        self._unit_ms = float(np.exp(log_ms.mean()))
        relative = latencies_ms / self._unit_ms
        self._lowest = LOWEST_SHARE * float(relative.min())
        if self.scale == "log":
            target, weights = np.log(relative), np.ones(len(relative))
        else:
            target, weights = relative, 1 / relative
        fitted = fit_ridge(self._second(terms), target, weights)
        self._intercept, self._coefficients = fitted.intercept, fitted.coefficients
        self.left_out: Floats = fitted.left_out
        self.terms = int((self._second.factor > 0).sum())

    def predict_ms(self, features: Features) -> Floats:
        """Return latencies; see `Estimator`."""
        terms = self._terms(self._first(self._transformed(features.values)))
        value = self._intercept + self._second(terms) @ self._coefficients
        if self.scale == "log":
            return self._unit_ms * np.exp(np.clip(value, -50, 50))
        return self._unit_ms * np.maximum(value, self._lowest)

    def _transformed(self, values: Floats) -> Floats:
        """Take logarithms of the columns that were positive, from the least positive number where one is not."""
        return np.where(self._logged, np.log(np.maximum(values, 1e-9)), values)

    def _terms(self, standard: Floats) -> Floats:
        if self.degree == 1:
            return standard
        chosen = standard[:, self._squared]
        upper = np.triu_indices(chosen.shape[1])
        return np.column_stack([standard, chosen[:, upper[0]] * chosen[:, upper[1]]])

    def state(self) -> State:
        """Return what was learned; see `Estimator`."""
        return {
            "logged": self._logged,
            "squared": self._squared,
            "first": np.stack([self._first.mean, self._first.factor]),
            "second": np.stack([self._second.mean, self._second.factor]),
            "coefficients": self._coefficients,
            "numbers": np.array([self._unit_ms, self._lowest, self._intercept]),
        }

    @classmethod
    def restore(cls, state: State) -> Self:
        """Return the estimator whose `state` that was."""
        new = cls()
        new._logged = state["logged"].astype(bool)
        new._squared = state["squared"].astype(np.intp)
        new._first = Standard(*state["first"].astype(float))
        new._second = Standard(*state["second"].astype(float))
        new._coefficients = state["coefficients"].astype(float)
        new._unit_ms, new._lowest, new._intercept = (float(number) for number in state["numbers"])
        return new


class Linear(_Polynomial):
    """A sum of features, on relative errors."""

    name = "linear"
    degree = 1
    scale = "relative"


class Quadratic(_Polynomial):
    """A sum of features and their products, on relative errors."""

    name = "quadratic"
    degree = 2
    scale = "relative"


class LogQuadratic(_Polynomial):
    """A quadratic of the logarithms."""

    name = "log-quadratic"
    degree = 2
    scale = "log"
