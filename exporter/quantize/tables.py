"""Tables in every scheme: rows of whole numbers, which become floats when they are looked up."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from hwloop.exporter.quantize import arithmetic
from hwloop.exporter.quantize.draft import Draft
from hwloop.exporter.quantize.layers import Layer
from hwloop.records import Scheme

LOW_HALF, HALF_BITS = 15, 4


class TableWriter:
    """Writes tables, with a scale a row, or a column in int8-static, whose DequantizeLinear takes no scale of a row."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def write(self, layer: Layer, scheme: Scheme) -> None:
        """Add a table in a scheme other than fp32.

        Raises:
            UsageError: as `Draft.weight`.
        """
        writers = {
            Scheme.INT8_STATIC: self._write_columns,
            Scheme.INT8_DYNAMIC: self._write_rows,
            Scheme.INT4_WEIGHT: self._write_halves,
        }
        writers[scheme](layer, self._draft.weight(layer))

    def _write_columns(self, layer: Layer, table: arithmetic.Floats) -> None:
        draft = self._draft
        numbers, scale = arithmetic.quantize_channels(table, 1)
        found = self._look_up(layer, f"{layer.weight}.int8", numbers, layer.name)
        parameters = [
            draft.constant(f"{layer.weight}.scale", scale),
            draft.constant(f"{layer.weight}.zero", np.zeros(scale.size, np.int8)),
        ]
        draft.add("DequantizeLinear", [found, *parameters], layer.result, axis=-1)

    def _write_rows(self, layer: Layer, table: arithmetic.Floats) -> None:
        numbers, scale = arithmetic.quantize_channels(table, 0)
        found = self._look_up(layer, f"{layer.weight}.int8", numbers, layer.name)
        self._draft.add("Mul", [self._float(found), self._of_row(layer, "scale", scale)], layer.result)

    def _write_halves(self, layer: Layer, table: arithmetic.Floats) -> None:
        """Write 4-bit numbers, the left half of a row in the low bits of its bytes, the right half in the high ones."""
        draft, columns = self._draft, table.shape[1]
        numbers, scale, zero = arithmetic.quantize_blocks(table, 1, columns)
        left, right = numbers[:, : -(-columns // 2)], numbers[:, -(-columns // 2) :]
        packed = left | np.pad(right, [(0, 0), (0, left.shape[1] - right.shape[1])]) << HALF_BITS
        found = self._look_up(layer, f"{layer.weight}.int4", packed, layer.name)
        mask = draft.constant(f"{layer.weight}.mask", np.uint8(LOW_HALF))
        shift = draft.constant(f"{layer.weight}.shift", np.uint8(HALF_BITS))
        halves = [
            draft.add("BitwiseAnd", [found, mask], draft.fresh(f"{layer.result}.left")),
            draft.add("BitShift", [found, shift], draft.fresh(f"{layer.result}.right"), direction="RIGHT"),
        ]
        whole = draft.add("Concat", halves, draft.fresh(f"{layer.result}.halves"), axis=-1)
        if columns % 2:
            bounds = [draft.constant(f"{layer.weight}.{end}", np.array([at])) for end, at in _columns(columns)]
            whole = draft.add("Slice", [whole, *bounds], draft.fresh(f"{layer.result}.columns"))
        steps = draft.add(
            "Mul", [self._float(whole), self._of_row(layer, "scale", scale)], draft.fresh(f"{layer.result}.steps")
        )
        draft.add("Add", [steps, self._of_row(layer, "least", -zero.astype(np.float32) * scale)], layer.result)

    def _look_up(self, layer: Layer, name: str, numbers: np.ndarray, node: str = "") -> str:
        draft = self._draft
        table = draft.constant(name, numbers)
        return draft.add(
            "Gather", [table, layer.input], draft.fresh(f"{layer.result}.{name.rpartition('.')[2]}"), name=node
        )

    def _of_row(self, layer: Layer, name: str, values: arithmetic.Floats) -> str:
        """Look up a number for each row, in a shape that broadcasts against the rows."""
        return self._look_up(layer, f"{layer.weight}.{name}", values.reshape(-1, 1))

    def _float(self, numbers: str) -> str:
        return self._draft.add("Cast", [numbers], self._draft.fresh(f"{numbers}.float"), to=TensorProto.FLOAT)


def _columns(count: int) -> list[tuple[str, int]]:
    """Return what a Slice takes for the first so many columns."""
    return [("start", 0), ("end", count), ("axis", -1)]
