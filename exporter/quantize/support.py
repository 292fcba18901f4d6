"""What a runtime cannot run in the scheme that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from hwloop.exporter.quantize.verify import found_layers
from hwloop.records import Failure, FailureKind, Scheme

# (runtime, scheme, kind of layer) and why not.
GAPS = {
    **dict.fromkeys(
        [("tvm", Scheme.INT4_WEIGHT, kind) for kind in ("MatMul", "Gemm", "Conv")],
        "TVM's ONNX frontend has no DequantizeLinear with blocks",
    ),
    ("onnxruntime", Scheme.INT4_WEIGHT, "Conv"): (
        "ONNX Runtime has 4-bit kernels for matrix products alone, and would unpack the weights in each call"
    ),
}
SHOWN = 3


@dataclass(frozen=True)
class Unsupported:
    """A layer that a runtime cannot run in its scheme, and why."""

    layer: str
    scheme: Scheme
    why: str


def unsupported(runtime: str, resolved: Mapping[str, Scheme], kinds: Mapping[str, str]) -> list[Unsupported]:
    """Return the layers that a runtime cannot run as resolved; `kinds` are those of `layers_of`, by name."""
    found = []
    for layer, scheme in resolved.items():
        why = GAPS.get((runtime, scheme, kinds[layer]))
        if why:
            found.append(Unsupported(layer, scheme, why))
    return found


def support_failure(runtime: str, model: onnx.ModelProto) -> Failure | None:
    """Return why a runtime cannot build a model with its quantized layers; None if it can."""
    layers = [layer for layer in found_layers(model) if layer.scheme is not None]
    resolved = {layer.name: layer.scheme for layer in layers if layer.scheme is not None}
    missing = unsupported(runtime, resolved, {layer.name: layer.kind for layer in layers})
    if not missing:
        return None
    names = ", ".join(gap.layer for gap in missing[:SHOWN])
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    plural = "layers" if len(missing) > 1 else "layer"
    detail = "\n".join(f"{gap.layer}: {gap.scheme}: {gap.why}" for gap in missing)
    message = f"{runtime} cannot run {plural} {names}{more} as {missing[0].scheme}: {missing[0].why}"
    return Failure(FailureKind.UNSUPPORTED, message, detail)
