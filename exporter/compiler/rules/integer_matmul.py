"""Products of 8-bit numbers with 32-bit sums; scales, bias and the next quantization are computed on each tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import ir, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import DOT
from hwloop.exporter.compiler.rules.epilogue import Epilogue, Unmatched
from hwloop.exporter.compiler.rules.integer_dot import dot_named
from hwloop.exporter.compiler.rules.integer_factors import IntegerFactors, IntegerProduct
from hwloop.exporter.compiler.rules.matmul import options_of, tiled
from hwloop.exporter.compiler.rules.product import product_from
from hwloop.exporter.compiler.rules.stages import Stage, loads_of, read_stages
from hwloop.exporter.compiler.rules.tilings import Options


class IntegerMatmul:
    """Products that `passes/integer_products.py` marked."""

    name = "integer matmul"

    def apply(self, kernel: Any, machine: Machine) -> Any | None:
        """Return the kernel on register tiles; None if it is no product, or what follows does not fit on tiles."""
        stages = read_stages(kernel)
        product = stages and _product(stages, machine)
        if not stages or not product:
            return None
        try:
            epilogue = Epilogue(stages, product.shape.stage, machine.float_lanes)
        except Unmatched:
            return None
        body = tiled(product.shape, IntegerFactors(product, machine), epilogue, machine)
        return kernel.with_body(body).with_attr("tirx.is_scheduled", True)

    def options(self, kernel: Any, machine: Machine) -> Options:
        """Return other tiles, and the packed side if there is one."""
        product = _product(read_stages(kernel) or [], machine)
        return options_of(product.shape, IntegerFactors(product, machine), kernel, machine) if product else Options()


def _product(stages: Sequence[Stage], machine: Machine) -> IntegerProduct | None:
    marked = [stage for stage in stages if DOT in stage.annotations]
    made = {stage.buffer for stage in stages}
    if len(marked) != 1 or not isinstance(marked[0].value, tirx.Add) or not isinstance(marked[0].value.b, tirx.Mul):
        return None
    stage = marked[0]
    left, right = stage.value.b.a, stage.value.b.b
    loads = [_numbers(side) for side in (left, right)]
    if any(load is None or load.source in made for load in loads):
        return None
    dot = dot_named(str(stage.annotations[DOT]), machine)
    return IntegerProduct(product_from(stage, loads[0], loads[1]), left, right, dot)


def _numbers(side: Any) -> Any | None:
    """Return the load of a side's stored numbers; what else it loads is a zero point, of no dimensions."""
    loads: list[ir.TensorLoad] = [load for load in loads_of(side) if len(load.indices) > 0]
    return loads[0] if len(loads) == 1 else None
