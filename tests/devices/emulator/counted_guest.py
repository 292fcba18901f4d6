"""Runs in a board's home: counts the calls of net.onnx in forks of a process that has imported the runtime.

Arguments: how many forks, warm-up calls, counted calls. Prints a line of counts for each fork.
"""

import ctypes
import gc
import os
import sys

sys.path.insert(0, "site")
import numpy
import onnxruntime

FORKS, WARMUP, CALLS = map(int, sys.argv[1:])
libc = ctypes.CDLL(None)


def counts() -> list:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession("net.onnx", options, providers=["CPUExecutionProvider"])
    image = {"x": numpy.ones((1, 3, 64, 64), "float32")}
    count = ctypes.c_uint64()
    mark = (ctypes.c_long(141), ctypes.c_ulong(0x68776C6F6F70), ctypes.byref(count))
    found = [0] * (WARMUP + CALLS)
    for index in range(len(found)):
        libc.syscall(*mark)
        start = count.value
        session.run(None, image)
        libc.syscall(*mark)
        found[index] = count.value - start
    return found[WARMUP:]


gc.collect()
gc.freeze()
gc.disable()
for _ in range(FORKS):
    pid = os.fork()
    if pid == 0:
        os.write(1, (" ".join(map(str, counts())) + "\n").encode())
        os._exit(0)
    os.waitpid(pid, 0)
