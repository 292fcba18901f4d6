"""Runtimes: `onnxruntime` and `tvm`, one file each."""
