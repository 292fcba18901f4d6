"""What the runner makes of what runtimes tell of their kernels."""

import ctypes

from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.runner.onnx_runtime import node_costs
from hwloop.devices.runner.profiling import typical
from hwloop.devices.runner.tvm_runtime import FFI_RAW_STRING, FFI_SMALL_STRING, CallHook, FfiAny


def event(name, dur, op="Conv", cat="Node"):
    return {"cat": cat, "name": name, "dur": dur, "args": {"op_name": op}}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_the_typical_cost_lies_within_the_costs(costs):
    assert min(costs) <= typical(costs) <= max(costs)


def test_a_hiccup_does_not_move_the_typical_cost():
    assert typical([10] * 9 + [10_000]) == 10


def test_nodes_are_told_without_warm_up_loops_and_what_is_no_kernel():
    events = [event("model_run", 100, cat="Session"), event("a_fence_before", 1)]
    events += [event("a_kernel_time", dur) for dur in (90, 7, 8)]
    events += [event("loop_kernel_time", 80, "Loop") for _ in range(3)]
    events += [event("b_kernel_time", dur, "Gelu") for dur in (50, 50, 1, 2, 3, 4)]  # twice in each call
    assert node_costs(events, 1, 2) == [("a", "Conv", [7000, 8000]), ("b", "Gelu", [1000, 2000, 3000, 4000])]


def test_what_a_function_calls_is_not_counted_twice():
    moments = iter(range(0, 1000, 10))
    hook = CallHook(lambda: next(moments))
    names = [ctypes.create_string_buffer(name) for name in (b"outer", b"inner")]

    def hear(which, before):
        arguments = (FfiAny * 4)()
        arguments[1] = FfiAny(FFI_RAW_STRING, 0, ctypes.addressof(names[which]))
        arguments[2].value = int(before)
        assert hook.entry(None, arguments, 4, ctypes.byref(FfiAny())) == 0

    for which, before in ((0, True), (1, True), (1, False), (0, False)):
        hear(which, before)
    # Each look at the clock is ten later: outer begins at 10, inner from 30 to 40, outer ends at 50.
    assert hook.costs == {"inner": [10], "outer": [30]}


def test_a_short_name_stands_in_the_value_itself():
    hook = CallHook(lambda: 0)
    arguments = (FfiAny * 4)()
    arguments[1] = FfiAny(FFI_SMALL_STRING, 3, int.from_bytes(b"add", "little"))
    arguments[2].value = 1
    hook.entry(None, arguments, 4, ctypes.byref(FfiAny()))
    assert hook.open[0][0] == "add"
