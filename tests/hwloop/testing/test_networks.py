from pathlib import Path

import numpy as np
import pytest

from hwloop.exporter.model import load_model
from hwloop.measure.workload import load_workloads
from hwloop.testing.networks.bert import bert
from hwloop.testing.networks.efficientnet import efficientnet_lite
from hwloop.testing.networks.hat_encoder import hat_encoder
from hwloop.testing.networks.mobilenet import mobilenet
from hwloop.testing.networks.quantized import dynamic_int8
from hwloop.testing.networks.resnet import resnet
from hwloop.testing.networks.suites import suites
from hwloop.testing.networks.vit import vit

SMALL = {
    "vit": lambda path: vit(path, width=32, heads=2, depth=1, size=32),
    "bert": lambda path: bert(path, tokens=7, width=32, heads=2, depth=1),
    "hat": lambda path: hat_encoder(path, width=32, tokens=5, layers=[(2, 48)], head=16),
    "resnet": lambda path: resnet(path, size=32, blocks=(1, 1), width=8),
    "mobilenet": lambda path: mobilenet(path, size=32),
    "efficientnet": lambda path: efficientnet_lite(path, size=32),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_family_runs_and_its_numbers_stay_in_bounds(name: str, tmp_path: Path) -> None:
    workload = load_workloads([SMALL[name](tmp_path / "m.onnx")], {}, {}, 0)[0]
    (output,) = workload.inputs.reference.values()
    assert 0.01 < np.std(output) < 100


def test_the_same_network_is_the_same_file(tmp_path: Path) -> None:
    first, second = (SMALL["vit"](tmp_path / f"{turn}.onnx") for turn in range(2))
    assert load_model(first).digest == load_model(second).digest


def test_an_int8_variant_is_smaller_and_computes_almost_the_same(tmp_path: Path) -> None:
    plain = SMALL["hat"](tmp_path / "plain.onnx")
    small = dynamic_int8(plain, tmp_path / "small.onnx")
    outputs = [next(iter(load.inputs.reference.values())) for load in load_workloads([plain, small], {}, {}, 0)]
    assert small.stat().st_size < plain.stat().st_size / 2
    assert np.abs(outputs[0] - outputs[1]).max() < 0.2


def test_no_suite_is_empty() -> None:
    assert all(suites().values())
