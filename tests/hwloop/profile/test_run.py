"""Profiles on this machine and on the emulated board: built, pushed, looked at kernel by kernel, kept."""

import pytest

from hwloop.devices.fleet import Device, EmulatedDevice, LocalDevice
from hwloop.errors import UsageError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.measure.workload import load_workloads
from hwloop.profile.run import ProfileJob, Unprofiled, profile, without_profiler
from hwloop.records import FailureKind, KernelCost
from hwloop.store import Store
from hwloop.store.profiles import Profiles
from hwloop.testing.models import conv_net, lstm, perceptron

PI4 = Device("pi4", EmulatedDevice(transport="emulated", board="pi4"))


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def box(tmp_path):
    return Device("box", LocalDevice(transport="local", cache_dir=str(tmp_path / "device")))


@pytest.fixture
def mlp(tmp_path):
    return load_workloads([perceptron(tmp_path / "mlp.onnx", [256, 512, 256], rows=32)], {}, {}, 0)


def run(job, store):
    return profile(job, store, lambda text: None)


def test_both_runtimes_say_what_their_kernels_cost_and_the_store_keeps_it(store, box, mlp):
    found = run(ProfileJob(mlp, box, [OnnxRuntime(), Tvm()], calls=20), store)
    nodes, kernels = (one.profile for one in found)
    assert (nodes.runtime, kernels.runtime) == ("onnxruntime", "tvm")
    assert {kernel.kind for kernel in nodes.kernels} >= {"MatMul"}
    products = [kernel for kernel in kernels.kernels if kernel.kind == "matmul"]
    assert [kernel.runs for kernel in products] == [1, 1]
    for one in (nodes, kernels):
        costs = [kernel.cost for kernel in one.kernels]
        assert one.unit == "ms" and one.calls == 20 and one.call > 0
        assert costs == sorted(costs, reverse=True) and costs[0] > 0
    assert Profiles(store).all() == found[::-1]


def test_what_kernels_exceed_a_call_by_is_taken_off_each_execution():
    kernels = [KernelCost("a", "", 1.0, 50.0), KernelCost("b", "", 2.0, 40.0), KernelCost("c", "", 1.0, 5.0)]
    assert [kernel.cost for kernel in without_profiler(kernels, 55.0)] == [40.0, 20.0, 0.0]
    assert without_profiler(kernels, 100.0) == kernels


def test_a_model_that_one_runtime_cannot_take_is_profiled_with_the_other(store, box, tmp_path):
    workloads = load_workloads([lstm(tmp_path / "lstm.onnx")], {}, {}, 0)
    found = run(ProfileJob(workloads, box, [OnnxRuntime(), Tvm()], calls=2), store)
    failed = next(one for one in found if isinstance(one, Unprofiled))
    assert (failed.model, failed.runtime, failed.failure.kind) == ("lstm", "tvm", FailureKind.UNSUPPORTED)
    assert [one.profile.runtime for one in Profiles(store).all()] == ["onnxruntime"]


def test_times_of_an_emulated_device_are_refused(store, mlp):
    with pytest.raises(UsageError, match="takes times, which mean nothing there"):
        run(ProfileJob(mlp, PI4, [OnnxRuntime()]), store)


@pytest.mark.emulated
@pytest.mark.timeout(900)
def test_kernels_on_an_emulated_device_are_counted(store, tmp_path):
    workloads = load_workloads([conv_net(tmp_path / "conv.onnx")], {}, {}, 0)
    (found,) = run(ProfileJob(workloads, PI4, [OnnxRuntime(), Tvm()], calls=3), store)
    one = found.profile
    assert (one.runtime, one.unit) == ("tvm", "instructions")
    convolutions = [kernel.cost for kernel in one.kernels if kernel.kind == "convolution"]
    assert len(convolutions) == 2
    assert 0.5 * one.call < sum(convolutions) < one.call
