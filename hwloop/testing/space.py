"""What every search space must do. Subclass `SpaceContract` and give it the fixture `space`:

class TestMySpace(SpaceContract):
    @pytest.fixture(scope="class")
    @classmethod
    def space(cls):
        return MY_SPACE
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
import onnx
import onnxruntime
import pytest

from hwloop.errors import UsageError
from hwloop.records import Arch, TensorSpec
from hwloop.search.spaces.base import Space, Supernet
from hwloop.search.subnets import export_subnets, layer_names, run_subnet

SAMPLES = 3
RELATIVE_ERROR = 1e-4
LAYERS = ("MatMul", "Gemm", "Conv")


class SpaceContract:
    """Choices that hold together, and subnets whose ONNX form computes what torch does."""

    @pytest.fixture(scope="class")
    @classmethod
    def supernet(cls, space: Space) -> Supernet:
        """Return a supernet of it."""
        return space.supernet(seed=0)

    @pytest.fixture(scope="class")
    @classmethod
    def archs(cls, space: Space) -> list[Arch]:
        """Return the ends of the space, and points between them."""
        random = Random(0)
        choices = space.choices
        return [choices.smallest, choices.largest, *(choices.sample(random) for _ in range(SAMPLES))]

    def test_points_are_valid_and_have_digests_of_their_own(self, space: Space, archs: list[Arch]) -> None:
        assert [space.choices.arch(arch.choices) for arch in archs] == archs
        assert len({arch.digest for arch in archs}) == len(set(archs)) > 1
        assert space.choices.count() > 1

    def test_moves_stay_in_the_space(self, space: Space, archs: list[Arch]) -> None:
        random = Random(1)
        for one, other in pairwise(archs):
            mutant, child = space.choices.mutate(one, 0.2, random), space.choices.cross(one, other, random)
            assert mutant != one
            assert [space.choices.arch(arch.choices) for arch in (mutant, child)] == [mutant, child]

    def test_an_unknown_choice_is_refused_by_name(self, space: Space, archs: list[Arch]) -> None:
        with pytest.raises(UsageError, match="no_such_choice"):
            space.choices.arch({**archs[0].choices, "no_such_choice": 1})

    def test_a_value_that_is_not_allowed_is_refused_with_those_that_are(self, space: Space, archs: list[Arch]) -> None:
        choice = space.choices.choices[0]
        with pytest.raises(UsageError, match=f"{choice.name}: .*{choice.values[0]}"):
            space.choices.arch({**archs[0].choices, choice.name: "no such value"})

    def test_onnx_computes_what_torch_does(self, space: Space, supernet: Supernet, archs: list[Arch]) -> None:
        for arch in archs:
            found = export_subnets(supernet, arch, space.setting())
            for subnet, part in zip(found, supernet.parts(space.setting()), strict=True):
                inputs = {spec.name: _numbers(spec) for spec in part.inputs}
                wanted = run_subnet(supernet, part, inputs)
                session = onnxruntime.InferenceSession(
                    subnet.model.SerializeToString(), providers=["CPUExecutionProvider"]
                )
                for name, value in zip(part.outputs, session.run(list(part.outputs), inputs), strict=True):
                    assert _relative_error(value, wanted[name]) < RELATIVE_ERROR, f"{arch.choices}: {name}"

    def test_graphs_are_valid_and_every_node_is_of_use(
        self, space: Space, supernet: Supernet, archs: list[Arch]
    ) -> None:
        for subnet in export_subnets(supernet, archs[-1], space.setting()):
            onnx.checker.check_model(subnet.model, full_check=True)
            graph = subnet.model.graph
            read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
            assert all(set(node.output) & read for node in graph.node)
            assert all(constant.name in read for constant in graph.initializer)

    def test_layers_keep_the_supernets_names(self, space: Space, supernet: Supernet, archs: list[Arch]) -> None:
        names = set(layer_names(supernet))
        assert set(layer_names(space.outline())) == names
        for arch in archs:
            found = export_subnets(supernet, arch, space.setting())
            layers = [name for subnet in found for name in _layers(subnet.model.graph)]
            assert layers and set(layers) <= names
            assert len(layers) == len(set(layers))

    def test_the_same_subnet_is_the_same_file(self, space: Space, supernet: Supernet, archs: list[Arch]) -> None:
        def files(arch: Arch) -> list[bytes]:
            return [one.model.SerializeToString() for one in export_subnets(supernet, arch, space.setting())]

        first = files(archs[0])
        files(archs[1])  # running another one changes no weight
        assert files(archs[0]) == first

    def test_a_larger_subnet_has_more_weights(self, space: Space, supernet: Supernet, archs: list[Arch]) -> None:
        def size(arch: Arch) -> int:
            return sum(one.model.ByteSize() for one in export_subnets(supernet, arch, space.setting()))

        assert size(space.choices.smallest) < size(space.choices.largest)


def _layers(graph: onnx.GraphProto) -> list[str]:
    constants = {constant.name for constant in graph.initializer}
    return [node.name for node in graph.node if node.op_type in LAYERS and node.input[1] in constants]


def _numbers(spec: TensorSpec) -> np.ndarray:
    random = np.random.default_rng(0)
    if spec.dtype == "float32":
        return random.standard_normal(spec.shape, dtype=np.float32)
    return random.integers(0, 2, spec.shape).astype(spec.dtype)


def _relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-12))
