"""A model with its inputs and the outputs that are right for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.exporter.costs import costs_of
from hwloop.exporter.inputs import Inputs, make_inputs
from hwloop.exporter.model import Model, load_model
from hwloop.records import Candidate, Measurement, ModelFacts


@dataclass(frozen=True)
class Workload:
    """A model under the name that tables show, with its inputs and their right outputs.

    `candidate` is what it was exported from, if anything.
    """

    name: str
    model: Model
    inputs: Inputs
    candidate: Candidate | None = None

    @property
    def batch(self) -> int:
        """The first dimension of the first input; 1 where there is none."""
        shape = self.model.inputs[0].shape if self.model.inputs else ()
        return shape[0] if shape else 1

    @cached_property
    def quantization(self) -> dict[str, str]:
        """The scheme of each layer, by its name."""
        import onnx

        from hwloop.exporter.quantize.verify import scheme_of

        graph = onnx.load(self.model.path, format="protobuf", load_external_data=False)
        return {layer: scheme.value for layer, scheme in scheme_of(graph).items()}

    def facts(self) -> ModelFacts:
        """Return what the model costs, told from its graph."""
        import onnx

        model = self.model
        sizes = {f"{spec.name}:{axis}": size for spec in model.inputs for axis, size in enumerate(spec.shape)}
        graph = onnx.load(model.path, format="protobuf", load_external_data=False)
        costs = costs_of(graph, {**model.dims, **sizes}, model.size_bytes)
        return ModelFacts(model.digest, self.inputs.digest, self.name, costs, self.candidate)


def distinct(workloads: Sequence[Workload]) -> list[Workload]:
    """Return the first of each: workloads with the same model and the same inputs are the same."""
    firsts: dict[tuple[str, str], Workload] = {}
    for one in workloads:
        firsts.setdefault(identity_of(one), one)
    return list(firsts.values())


def identity_of(workload: Workload) -> tuple[str, str]:
    """Return what makes two workloads the same: the digests of the model and of its inputs."""
    return workload.model.digest, workload.inputs.digest


def named(measurement: Measurement, name: str) -> Measurement:
    """Return a measurement under the name that its model has in this run."""
    return replace(measurement, subject=replace(measurement.subject, model=name))


def load_workloads(
    paths: Sequence[Path], shapes: Mapping[str, int], given: Mapping[str, Path], seed: int
) -> list[Workload]:
    """Read and check every model and make its inputs.

    A path that stands twice counts once. `shapes` are the sizes of symbolic dimensions, `given` the inputs that come
    from .npy files.

    Raises:
        ModelError: a file cannot be measured.
        UsageError: a shape or an input that no model has.
    """
    paths = list(dict.fromkeys(paths))
    models = [load_model(path, shapes) for path in paths]
    used = {name for model in models for name in model.used_shapes}
    unused = sorted(set(shapes) - used)
    if unused:
        raise UsageError(
            f"--shape {unused[0]}: no model here has such a dimension",
            remedy="Leave it out; a model that needs a size says so by name.",
        )
    names = {spec.name for model in models for spec in model.inputs}
    strangers = sorted(set(given) - names)
    if strangers:
        raise UsageError(
            f"--input {strangers[0]}: no model here has such an input",
            remedy=f"The inputs are {', '.join(sorted(names))}.",
        )
    labels = _labels(paths)
    loads = []
    for label, model in zip(labels, models, strict=True):
        loads.append(Workload(label, model, make_inputs(model, seed, given)))
    return loads


def _labels(paths: Sequence[Path]) -> list[str]:
    """Return each file's stem; files of equal stems are told apart by their folder."""
    stems = [path.stem for path in paths]
    return [
        stem if stems.count(stem) == 1 else f"{path.resolve().parent.name}/{stem}"
        for path, stem in zip(paths, stems, strict=True)
    ]
