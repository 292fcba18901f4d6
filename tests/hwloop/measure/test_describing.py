"""Every model that is measured is described in the store first, once."""

import onnx
import pytest

from hwloop.exporter.costs import costs_of
from hwloop.measure.describing import describe
from hwloop.measure.workload import load_workloads
from hwloop.records import KernelKind
from hwloop.store import Models, Store
from hwloop.testing.models import embedding, lstm, perceptron


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "m.sqlite") as opened:
        yield opened


def test_a_model_is_described_by_its_graph(store, tmp_path):
    path = perceptron(tmp_path / "m.onnx")
    (workload,) = load_workloads([path], {}, {}, 0)
    describe([workload], store)
    facts = Models(store).get(workload.model.digest)
    assert facts.costs == costs_of(onnx.load(path), {})
    assert (facts.name, facts.inputs_digest, facts.candidate) == ("m", workload.inputs.digest, None)


def test_a_model_is_described_with_the_sizes_that_it_is_measured_with(store, tmp_path):
    path = embedding(tmp_path / "m.onnx", width=16)
    costs = []
    for length in (3, 7):
        (workload,) = load_workloads([path], {"batch": 2, "length": length}, {}, 0)
        describe([workload], store)
        costs.append(Models(store).get(workload.model.digest).costs)
    assert [one.kernels[0].written_bytes for one in costs] == [2 * 3 * 16 * 4, 2 * 7 * 16 * 4]


def test_what_the_store_knows_is_not_read_again(store, tmp_path):
    path = lstm(tmp_path / "m.onnx")
    loads = load_workloads([path], {}, {}, 0)
    describe(loads, store)
    path.unlink()
    describe(loads, store)
    facts = Models(store).get(loads[0].model.digest)
    assert [kernel.kind for kernel in facts.costs.kernels] == [KernelKind.RECURRENT]
