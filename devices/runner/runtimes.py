"""The runtimes that can be driven on a device, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .onnx_runtime import OnnxRuntime
from .tvm_runtime import TvmRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    Output = tuple[str, str, list[int], bytes]
    Runtime = OnnxRuntime | TvmRuntime

RUNTIMES: dict[str, Callable[[str], Runtime]] = {"onnxruntime": OnnxRuntime, "tvm": TvmRuntime}
