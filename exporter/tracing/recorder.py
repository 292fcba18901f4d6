"""Runs a module once on tensors without data and writes down as ONNX what is asked of torch.

Shapes come from torch's own arithmetic on its `meta` device; whatever depends on no input (slices of shared weights,
masks, positions) is computed at once and becomes a constant. So the graph has neither dead nodes nor shape arithmetic,
and a module is exported by what it does, without rules for its class.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from hwloop.errors import ModelError
from hwloop.exporter.tracing.batch_norms import fold_batch_norms
from hwloop.exporter.tracing.graph import Graph
from hwloop.exporter.tracing.operators import OPERATORS, Call
from hwloop.exporter.tracing.pads import fold_pads
from hwloop.exporter.tracing.shapes import SHAPES
from hwloop.records import TensorSpec


def trace(
    module: nn.Module,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[str],
    forward: Callable[..., Any] | None = None,
) -> onnx.ModelProto:
    """Return what a module computes as an ONNX model of fixed shapes.

    `inputs` are given to the module by position; `forward` is called in place of the module where it is given, such as
    one of its methods. Nodes are named after the submodules that compute them: a linear layer or a convolution is one
    node with the submodule's own name, its constants `NAME.weight` and `NAME.bias`.

    Raises:
        ModelError: the module asks for something that has no ONNX form here, or returns other than tensors.
    """
    graph = Graph()
    mode = _Recorder(graph)
    given = [mode.input(spec) for spec in inputs]
    with torch.no_grad(), _scopes(module, mode), mode:
        found = (forward or module)(*given)
    results = list(found) if isinstance(found, list | tuple) else [found]
    if len(results) != len(outputs):
        raise ModelError(f"the module returns {len(results)} values, and {len(outputs)} outputs are named")
    named = [(mode.output(value, name), _spec(name, value)) for name, value in zip(outputs, results, strict=True)]
    graph.nodes[:] = _alive(graph.nodes, {value for value, _ in named})
    kept = {value for value, _ in named}
    fold_batch_norms(graph, kept)
    fold_pads(graph, kept)
    return graph.model(inputs, named)


class _Recorder(TorchFunctionMode):
    """Hears every call of torch's functions; those that depend on an input are written into the graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.scope: list[str] = [""]
        self._graph = graph
        self._names: dict[int, str] = {}
        self._kept: list[torch.Tensor] = []  # so that no other tensor gets their ids

    def input(self, spec: TensorSpec) -> torch.Tensor:
        """Return the tensor that stands for an input."""
        return self._know(torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta"), spec.name)

    def output(self, value: Any, name: str) -> str:
        """Return the value in the graph that an output is; one that is an input or a constant is handed through."""
        if not isinstance(value, torch.Tensor):
            raise ModelError(f"the output {name!r} is no tensor")
        known = self._names.get(id(value), "")
        made = {output for node in self._graph.nodes for output in node.output}
        return known if known in made else self._graph.node("Identity", [self.name(value)], "", name=f"{name}/Identity")

    def name(self, value: Any, label: str = "constant") -> str:
        """Return a value's name in the graph; what is not known is a constant."""
        if id(value) in self._names:
            return self._names[id(value)]
        if isinstance(value, torch.Tensor):
            if value.device.type == "meta":
                array = np.zeros(tuple(value.shape), _numpy(value.dtype))
            else:
                array = value.detach().numpy()  # a view of shared weights, copied when the model is written
        else:
            array = np.asarray(value)
        scope = self.scope[-1]
        return self._graph.constant(array, f"{scope}.{label}".lstrip("."))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if not self._depends(args) and not self._depends(tuple(kwargs.values())):
            return func(*args, **kwargs)
        result = _shape_of(func, args, kwargs)
        if not _has_tensor(result):
            return result  # a shape, a size, a type
        operator = OPERATORS.get(func)
        if operator is None:
            name = getattr(func, "__name__", str(func))
            place = self.scope[-1] or "the module"
            raise ModelError(
                f"{place}: torch's {name} has no ONNX form here",
                remedy="Write it with other functions, or add it to exporter/tracing/operators/.",
            )
        made = operator(Call(self._graph, self.scope[-1], self.name, result), *args, **kwargs)
        for value, name in zip(_tensors(result), [made] if isinstance(made, str) else made, strict=True):
            self._know(value, name)
        return result

    def _know(self, value: torch.Tensor, name: str) -> torch.Tensor:
        self._names[id(value)] = name
        self._kept.append(value)
        return value

    def _depends(self, values: Any) -> bool:
        if isinstance(values, tuple | list):
            return any(self._depends(value) for value in values)
        return isinstance(values, torch.Tensor) and id(values) in self._names


@contextlib.contextmanager
def _scopes(root: nn.Module, mode: _Recorder) -> Iterator[None]:
    """Tell the recorder which submodule is running."""
    names = {id(module): name for name, module in root.named_modules()}

    def begin(module: nn.Module, _given: Any) -> None:
        mode.scope.append(names.get(id(module), mode.scope[-1]))

    def end(_module: nn.Module, _given: Any, _result: Any) -> None:
        mode.scope.pop()

    enter, leave = register_module_forward_pre_hook(begin), register_module_forward_hook(end)
    try:
        yield
    finally:
        enter.remove()
        leave.remove()


def _shape_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a function would, without data."""
    if func in SHAPES:
        return SHAPES[func](*args, **kwargs)
    return func(*map(_without_data, args), **{name: _without_data(value) for name, value in kwargs.items()})


def _without_data(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value if value.device.type == "meta" else value.to("meta")
    return type(value)(map(_without_data, value)) if type(value) in (tuple, list) else value


def _has_tensor(result: Any) -> bool:
    return isinstance(result, torch.Tensor) or (
        isinstance(result, tuple | list) and bool(result) and all(isinstance(value, torch.Tensor) for value in result)
    )


def _tensors(result: Any) -> list[torch.Tensor]:
    return [result] if isinstance(result, torch.Tensor) else list(result)


def _numpy(dtype: torch.dtype) -> Any:
    return torch.empty(0, dtype=dtype).numpy().dtype


def _spec(name: str, value: torch.Tensor) -> TensorSpec:
    return TensorSpec(name, str(_numpy(value.dtype)), tuple(value.shape))


def _alive(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes that the wanted values depend on, in their order."""
    needed, alive = set(wanted), []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            alive.append(node)
    return alive[::-1]
