"""What a model takes as TVM compiles it by itself, for `tvm_vs_ort.py --stock`.

Reads {"model", "target", "shapes", "inputs"} as JSON from standard input and prints the median of a few calls in
milliseconds; `target` is TVM's word for the CPU, `inputs` are .npy files in the order of the model's inputs.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np
import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

CALLS = 5


def main() -> None:
    """Compile, call and print."""
    asked = json.load(sys.stdin)
    model = onnx.load(asked["model"])
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, asked["shapes"].get(value.name, ()), strict=False):
            dim.dim_value = size
    module = from_onnx(model, shape_dict=asked["shapes"], keep_params_in_input=False)
    machine = relax.VirtualMachine(tvm.compile(module, tvm.target.Target(asked["target"])), tvm.cpu())
    inputs = [tvm.runtime.tensor(np.load(path)) for path in asked["inputs"]]
    spent = []
    for _ in range(CALLS):
        start = time.perf_counter_ns()
        machine["main"](*inputs)
        spent.append(time.perf_counter_ns() - start)
    print(statistics.median(spent) / 1e6)


if __name__ == "__main__":
    main()
