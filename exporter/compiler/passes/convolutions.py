"""Convolutions and pooling with channels last, in a form of our own: weights packed, geometry noted for the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import ir, relax, te, tirx

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import PANEL, Panels
from hwloop.exporter.compiler.passes.shapes import shape_of
from hwloop.exporter.compiler.passes.views import View, look_through
from hwloop.exporter.compiler.rules.microkernel import best_tile
from hwloop.exporter.compiler.rules.stages import stride
from hwloop.exporter.compiler.windowing import CHANNELS_INSIDE, WINDOW, Window

OUT_ELEMENTWISE = 4  # TVM's word for a kernel onto which elementwise ones may be fused


def rewrite_convolutions(module: Any, machine: Machine) -> Any:
    """Return the module with convolutions by constants, and pooling, marked for the rules that write their kernels.

    A 1x1 convolution becomes a product, for `passes/products.py`.
    """
    rewriter = _Rewriter(module, machine)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            rewriter.builder_.update_func(variable, rewriter.visit_expr(function))
    return relax.transform.DeadCodeElimination()(rewriter.builder_.finalize())


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, module: Any, machine: Machine) -> None:
        super().__init__(module)
        self._machine = machine

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if not isinstance(call.op, ir.Op) or shape_of(call) is None:
            return call
        if call.op.name == "relax.nn.conv2d":
            return self._convolution(call)
        make = _POOLING.get(call.op.name)
        return make(self, call) if make else call

    def emit(self, arguments: Sequence[Any], name: str, compute: Callable[..., Any]) -> Any:
        """Return the call of a tensor expression's kernel."""
        attributes = {"op_pattern": OUT_ELEMENTWISE}
        return self.builder_.call_te(compute, *arguments, primfunc_name_hint=name, primfunc_attrs=attributes)

    def _convolution(self, call: Any) -> Any:
        attributes, (data, weight) = call.attrs, call.args
        floats = str(data.ty.dtype) == str(weight.ty.dtype) == "float32"
        if attributes.data_layout != "NHWC" or not isinstance(weight, ir.GenericConst) or not floats:
            return call
        numbers = weight.value.numpy()
        shape = shape_of(data)
        assert shape is not None
        window = window_of(attributes, shape, numbers.shape[2:])
        groups, result = int(attributes.groups), shape_of(call)
        assert result is not None
        pointwise = window == Window(shape[1], shape[2], 1, 1, 1, 1, 0, 0) and result[1:3] == shape[1:3]
        if pointwise and groups == 1:
            matrix = np.ascontiguousarray(numbers[:, :, 0, 0].T)
            return relax.op.matmul(data, relax.const(matrix))
        if groups == shape[3] == numbers.shape[0]:
            packed = np.ascontiguousarray(numbers[:, 0].transpose(1, 2, 0))
            return self.emit([data, relax.const(packed)], "depthwise", _depthwise(window, result))
        view = look_through(data, self.lookup_binding, scales=False)
        return self._dense(view, numbers, window, groups, result)

    def _dense(self, view: View, numbers: Any, window: Window, groups: int, result: Sequence[int]) -> Any:
        """Return a convolution whose weights are packed in the order in which it sums."""
        lanes = self._machine.float_lanes
        columns, channels = numbers.shape[0] // groups, numbers.shape[1]
        depth = channels * window.height * window.width
        inner = channels_together(view)
        panels = Panels(columns, depth, best_tile(result[2], columns, depth, self._machine).vectors * lanes, lanes)
        grouped = numbers.reshape(groups, columns, channels, window.height * window.width)
        order = (0, 3, 2, 1) if inner else (0, 2, 3, 1)
        packed = panels.pack(grouped.transpose(order).reshape(groups, depth, columns))

        def convolution(image: Any, weights: Any) -> Any:
            down, across, channel = (
                te.reduce_axis((0, size), name)
                for name, size in (("kh", window.height), ("kw", window.width), ("ci", channels))
            )

            def element(batch: Any, row: Any, column: Any, out: Any) -> Any:
                group = tirx.floordiv(out, columns) if groups > 1 else tirx.const(0, "int64")
                at = [batch, window.row(row, down.var), window.column(column, across.var)]
                value = image[tuple(view.place([*at, group * channels + channel.var]))]
                inside = window.inside(row, column, down.var, across.var, result[1:3])
                if inside is not None:
                    value = tirx.if_then_else(inside, value, tirx.const(0, "float32"))
                place = down.var * window.width + across.var
                places = window.height * window.width
                step = place * channels + channel.var if inner else channel.var * places + place
                weight = weights[group, panels.index(step, out - group * columns)]
                return te.sum(value * weight, axis=[down, across, channel] if inner else [channel, down, across])

            attributes = {WINDOW: window.as_list(), PANEL: panels.width, CHANNELS_INSIDE: int(inner)}
            return te.compute(result, element, "convolution", attrs=attributes)

        return self.emit([view.source, relax.const(packed)], "convolution", convolution)


def window_of(attributes: Any, shape: Sequence[int], kernel: Sequence[int]) -> Window:
    """Return the window of a convolution or pooling, by its attributes, the image's shape and [height, width]."""
    down, across = (int(number) for number in attributes.strides)
    top, left = (int(number) for number in attributes.padding[:2])
    height, width = (int(size) for size in kernel)
    dilation_down, dilation_across = (int(number) for number in attributes.dilation)
    return Window(shape[1], shape[2], height, width, down, across, top, left, dilation_down, dilation_across)


def channels_together(view: View) -> bool:
    """Return whether an image's neighbouring channels lie side by side in what it is a view of."""
    axes = [tirx.Var(f"i{number}", "int64") for number in range(4)]
    *others, last = view.place(axes)
    steps = [0 if isinstance(index, int) else stride(index, axes[3]) for index in others]
    return not isinstance(last, int) and stride(last, axes[3]) == 1 and all(step == 0 for step in steps)


def _depthwise(window: Window, result: Sequence[int]) -> Callable[..., Any]:
    def compute(image: Any, weights: Any) -> Any:
        return _slide(
            window, result, "sum", 0, lambda at, down, across: image[at] * weights[down, across, at[3]], image
        )

    return compute


def _slide(
    window: Window, result: Sequence[int], kind: str, empty: float, value: Callable[..., Any], image: Any
) -> Any:
    """Return the sum or maximum of what each channel by itself has in a window; `empty` counts for what is outside."""
    down = te.reduce_axis((0, window.height), "kh")
    across = te.reduce_axis((0, window.width), "kw")
    reduce = {"sum": te.sum, "max": te.max}[kind]

    def element(batch: Any, row: Any, column: Any, channel: Any) -> Any:
        at = (batch, window.row(row, down.var), window.column(column, across.var), channel)
        found = value(at, down.var, across.var)
        inside = window.inside(row, column, down.var, across.var, result[1:3])
        if inside is not None:
            found = tirx.if_then_else(inside, found, tirx.const(empty, str(image.dtype)))
        return reduce(found, axis=[down, across])

    return te.compute(result, element, f"{kind}_window", attrs={WINDOW: window.as_list()})


def _is_pool(call: Any) -> bool:
    return call.attrs.layout == "NHWC" and str(call.ty.dtype) == "float32" and shape_of(call.args[0]) is not None


def _max_pool(rewriter: _Rewriter, call: Any) -> Any:
    if not _is_pool(call):
        return call
    window, result = window_of(call.attrs, shape_of(call.args[0]) or (), call.attrs.pool_size), shape_of(call) or ()
    lowest = float(np.finfo(np.float32).min)
    return rewriter.emit(
        [call.args[0]], "max_pool", lambda image: _slide(window, result, "max", lowest, lambda at, *_: image[at], image)
    )


def _mean_pool(rewriter: _Rewriter, call: Any) -> Any:
    """Return the sum in each window by how many places it has in the image, or in the padded one."""
    if not _is_pool(call):
        return call
    shape, result = shape_of(call.args[0]) or (), shape_of(call) or ()
    window = window_of(call.attrs, shape, call.attrs.pool_size)
    total = rewriter.emit(
        [call.args[0]], "sum_pool", lambda image: _slide(window, result, "sum", 0, lambda at, *_: image[at], image)
    )
    padding = [int(size) if call.attrs.count_include_pad else 0 for size in call.attrs.padding]
    places = np.meshgrid(*(np.arange(size) for size in (*result[1:3], window.height, window.width)), indexing="ij")
    rows, columns = window.row(places[0], places[2]), window.column(places[1], places[3])
    inside = (-padding[0] <= rows) & (rows < shape[1] + padding[2])
    inside &= (-padding[1] <= columns) & (columns < shape[2] + padding[3])
    shares = (1 / inside.sum((2, 3))).astype(np.float32)
    even = bool((shares == shares[0, 0]).all())
    return relax.op.multiply(total, relax.const(shares[0, 0] if even else shares[None, :, :, None]))


def _mean(rewriter: _Rewriter, call: Any) -> Any:
    """Return the mean over height and width as a window over the whole image."""
    shape, result = shape_of(call.args[0]), shape_of(call) or ()
    axes = [int(axis) for axis in call.attrs.axis or ()]
    if shape is None or len(shape) != 4 or axes != [1, 2] or str(call.ty.dtype) != "float32":
        return call
    window = Window(shape[1], shape[2], shape[1], shape[2], 1, 1, 0, 0)
    pooled = (shape[0], 1, 1, shape[3])
    total = rewriter.emit(
        [call.args[0]], "sum_pool", lambda image: _slide(window, pooled, "sum", 0, lambda at, *_: image[at], image)
    )
    mean = relax.op.multiply(total, relax.const(np.float32(1 / (shape[1] * shape[2]))))
    return mean if pooled == result else relax.op.reshape(mean, result)


_POOLING: dict[str, Callable[[_Rewriter, Any], Any]] = {
    "relax.nn.max_pool2d": _max_pool,
    "relax.nn.avg_pool2d": _mean_pool,
    "relax.mean": _mean,
}
