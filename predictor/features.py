"""What is known of models before they are measured: named numbers a model, and the kernels that it runs.

A row is one model. The numbers (an Arch's encoding, say) are a matrix; the kernels are ragged, so they are kept as
one long matrix with the row that each belongs to. Either may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwloop.errors import UsageError

Floats = NDArray[np.float64]
Rows = NDArray[np.intp] | NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class KernelTable:
    """The kernels of `rows` models, in any order.

    `row` (kernels,) says whose each is, `kind` (kernels,) indexes `kinds`, or is -1 where the kind is none of them;
    `values` (kernels, columns) are non-negative amounts such as `operations` and `bytes`.
    """

    rows: int
    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    row: NDArray[np.intp]
    kind: NDArray[np.intp]
    values: Floats

    @classmethod
    def of(cls, models: Sequence[Sequence[tuple[str, Sequence[float]]]], columns: Sequence[str]) -> KernelTable:
        """Return the table of models that are each a list of (kind, amounts), the amounts as `columns` names them."""
        kernels = [(row, kind, amounts) for row, model in enumerate(models) for kind, amounts in model]
        kinds = tuple(sorted({kind for _, kind, _ in kernels}))
        place = {kind: index for index, kind in enumerate(kinds)}
        values = np.array([amounts for _, _, amounts in kernels], float).reshape(len(kernels), len(columns))
        if not np.isfinite(values).all() or (values < 0).any():
            raise UsageError("a kernel has an amount that is negative or no number", remedy="Check its features.")
        return cls(
            rows=len(models),
            kinds=kinds,
            columns=tuple(columns),
            row=np.array([row for row, _, _ in kernels], np.intp),
            kind=np.array([place[kind] for _, kind, _ in kernels], np.intp),
            values=values,
        )

    def take(self, rows: Rows) -> KernelTable:
        """Return the kernels of some rows, numbered anew in the order of `rows`."""
        wanted = np.arange(self.rows)[rows]
        order = np.argsort(self.row, kind="stable")
        starts = np.searchsorted(self.row[order], np.arange(self.rows + 1))
        counts = np.diff(starts)[wanted]
        ends = np.cumsum(counts)
        places = np.arange(counts.sum()) - np.repeat(ends - counts, counts) + np.repeat(starts[wanted], counts)
        taken = order[places]
        row = np.repeat(np.arange(len(wanted)), counts)
        return KernelTable(len(wanted), self.kinds, self.columns, row, self.kind[taken], self.values[taken])

    def spoken(self, kinds: tuple[str, ...]) -> KernelTable:
        """Return the same kernels with their kinds indexed in `kinds`; those of other kinds become -1."""
        place = {kind: index for index, kind in enumerate(kinds)}
        translation = np.array([*(place.get(kind, -1) for kind in self.kinds), -1], np.intp)
        return KernelTable(self.rows, kinds, self.columns, self.row, translation[self.kind], self.values)

    def sums(self, amounts: Floats) -> Floats:
        """Return `amounts` (kernels, m) summed by row and kind: (rows, kinds + 1, m), unknown kinds last."""
        slots = len(self.kinds) + 1
        flat = np.zeros((self.rows * slots, amounts.shape[1]))
        np.add.at(flat, self.row * slots + self.kind % slots, amounts)
        return flat.reshape(self.rows, slots, -1)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of models: `values` (rows, columns), finite, and optionally their kernels.

    Raises UsageError where shapes do not agree, names repeat, or a value is no finite number.
    """

    columns: tuple[str, ...]
    values: Floats
    kernels: KernelTable | None = field(default=None)

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.columns):
            raise UsageError(
                f"features of shape {self.values.shape} do not fit {len(self.columns)} column names",
                remedy="Give one name for each column.",
            )
        if len(set(self.columns)) != len(self.columns):
            raise UsageError("two feature columns have the same name", remedy="Rename one of them.")
        bad = ~np.isfinite(self.values)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise UsageError(f"feature {self.columns[column]} of row {row} is no finite number", remedy="Leave it out.")
        if self.kernels is not None and self.kernels.rows != len(self.values):
            raise UsageError(f"{len(self.values)} rows of features, but kernels of {self.kernels.rows} models")

    @classmethod
    def of(cls, columns: Sequence[str], values: ArrayLike) -> Features:
        """Return features without kernels."""
        return cls(tuple(columns), np.asarray(values, float))

    @classmethod
    def of_kernels(cls, kernels: KernelTable) -> Features:
        """Return features that are the kernels alone."""
        return cls((), np.zeros((kernels.rows, 0)), kernels)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> Features:
        """Return some rows: a mask, or indices."""
        return Features(self.columns, self.values[rows], self.kernels.take(rows) if self.kernels else None)

    def with_totals(self, kinds: tuple[str, ...]) -> Features:
        """Return these features with, for each kind of kernel, its count and the sums of its amounts as columns.

        A tabular estimator learns from these. Kernels of no kind in `kinds` count in the totals over all kinds.
        """
        if self.kernels is None:
            return self
        kernels = self.kernels.spoken(kinds)
        amounts = np.column_stack([np.ones(len(kernels.values)), kernels.values])
        sums = kernels.sums(amounts)
        names = ("kernels", *kernels.columns)
        columns = [f"{kind}:{name}" for kind in (*kinds,) for name in names] + [f"all:{name}" for name in names]
        values = np.column_stack([sums[:, :-1].reshape(len(self), -1), sums.sum(axis=1)])
        return Features((*self.columns, *columns), np.column_stack([self.values, values]), kernels)
