"""From candidates to ONNX models: one supernet, and one calibration, serve all candidates of a space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from hwloop.errors import UsageError
from hwloop.exporter.inputs import make_inputs
from hwloop.exporter.model import load_model
from hwloop.exporter.quantize.calibrate import calibrate, calibration_method
from hwloop.exporter.quantize.layers import layers_of
from hwloop.exporter.quantize.quantize import quantize
from hwloop.exporter.quantize.ranges import Ranges
from hwloop.exporter.quantize.samples import Samples
from hwloop.records import Arch, Candidate, QuantPolicy, Scheme
from hwloop.scratch import scratch_folder
from hwloop.search.batch_norms import recalibrated
from hwloop.search.sampling import covering_archs
from hwloop.search.spaces.base import Setting, Space, Supernet
from hwloop.search.subnets import Subnet, export_subnets, layer_names, module_of

if TYPE_CHECKING:
    from torch import Tensor

Batch = Mapping[str, np.ndarray]


class CandidateExporter:
    """Exports candidates of one space, with the weights of one supernet.

    Layers in int8-static are calibrated on `batches`, arrays by input name, if they are given, and else on made-up
    inputs from `seed`: right for latencies, too coarse for accuracies. Batch norms have statistics of each subnet's
    own from `norm_batches`, inputs of the network, if they are given, and else those that all subnets share.
    """

    def __init__(
        self,
        space: Space,
        supernet: Supernet,
        setting: Setting,
        *,
        batches: Iterable[Batch] = (),
        method: str = "min-max",
        norm_batches: Sequence[Tensor] = (),
        seed: int = 0,
    ) -> None:
        self._space = space
        self._supernet = supernet
        self._setting = setting
        self._batches = list(batches)
        self._method = calibration_method(method)
        self._norm_batches = norm_batches
        self._seed = seed
        self._ranges = Ranges()
        self._covering = covering_archs(space.choices)  # those that were not calibrated yet

    def export(self, candidate: Candidate) -> list[Subnet]:
        """Return the candidate's parts as ONNX models, each layer in its scheme.

        Raises:
            UsageError: the policy names a layer that is not there, or a size does not fit the subnet.
            ModelError: the supernet does what has no ONNX form here.
        """
        candidate.policy.resolved(self._layers)
        arch = self._space.choices.arch(candidate.arch.choices)
        subnets = self._subnets(arch)
        return [replace(subnet, model=self._quantized(subnet.model, candidate.policy)) for subnet in subnets]

    def _subnets(self, arch: Arch) -> list[Subnet]:
        if not self._norm_batches:
            return export_subnets(self._supernet, arch, self._setting)
        self._supernet.activate(arch)
        with recalibrated(module_of(self._supernet), self._norm_batches):
            return export_subnets(self._supernet, arch, self._setting)

    @cached_property
    def _layers(self) -> list[str]:
        return layer_names(self._supernet)

    def _quantized(self, model: onnx.ModelProto, policy: QuantPolicy) -> onnx.ModelProto:
        layers = layers_of(model)
        schemes = {layer.name: policy.scheme(layer.name) for layer in layers}
        if all(scheme is Scheme.FP32 for scheme in schemes.values()):
            return model
        static = {layer.name for layer in layers if schemes[layer.name] is Scheme.INT8_STATIC and not layer.is_table}
        if not static.issubset(self._ranges.layers):
            self._calibrate(model)
        return quantize(model, QuantPolicy(schemes), self._ranges)

    def _calibrate(self, model: onnx.ModelProto) -> None:
        """Find ranges for the layers of a model that have none yet.

        They are those of the first covering subnet that has the layer, so they do not depend on which candidates came
        before; those of the model itself serve for layers that none has.
        """
        wanted = _ranged(model)
        while not wanted.issubset(self._ranges.layers) and (arch := next(self._covering, None)):
            for subnet in self._subnets(arch):
                self._calibrate_on(subnet.model)
        self._calibrate_on(model)

    def _calibrate_on(self, model: onnx.ModelProto) -> None:
        if not _ranged(model).issubset(self._ranges.layers):
            found = calibrate(model, self._batches_for(model), self._method).layers
            self._ranges = Ranges({**found, **self._ranges.layers}, self._method)

    def _batches_for(self, model: onnx.ModelProto) -> list[Batch]:
        names = {value.name for value in model.graph.input}
        given = [batch for batch in self._batches if set(batch) == names]
        return given or [made_up(model, self._seed)]


def _ranged(model: onnx.ModelProto) -> set[str]:
    """Return the layers of a model that have ranges."""
    return {layer.name for layer in layers_of(model) if not layer.is_table}


def part_batches(samples: Samples, space: Space, supernet: Supernet, setting: Setting) -> list[Batch]:
    """Return samples as batches for the parts of a space's largest subnet; a part may do without any.

    Raises:
        UsageError: an array is for no part, or a part has arrays for some of its inputs alone.
    """
    supernet.activate(space.choices.largest)
    parts = [{spec.name: spec.shape[0] for spec in part.inputs} for part in supernet.parts(setting)]
    known = {name for inputs in parts for name in inputs}
    strangers = sorted(samples.arrays.keys() - known)
    if strangers:
        raise UsageError(
            f"{samples.place}: {strangers[0]!r} is no input of {space.name}",
            remedy=f"The inputs are {', '.join(sorted(known))}.",
        )
    given = [inputs for inputs in parts if inputs.keys() & samples.arrays.keys()]
    return [batch for inputs in given for batch in samples.batches(inputs)]


def made_up(model: onnx.ModelProto, seed: int) -> Batch:
    """Return an input of the right type and shape for each of a model's inputs."""
    with scratch_folder("calibration") as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        return dict(make_inputs(load_model(path), seed).arrays)
