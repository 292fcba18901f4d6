"""Which networks are looked at together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from hwloop.testing.networks.bert import bert
from hwloop.testing.networks.efficientnet import efficientnet_lite
from hwloop.testing.networks.hat_encoder import hat_encoder
from hwloop.testing.networks.mobilenet import mobilenet
from hwloop.testing.networks.quantized import dynamic_int8, static_int8
from hwloop.testing.networks.resnet import resnet
from hwloop.testing.networks.vit import vit

Write = Callable[[Path], Path]

TRANSFORMERS: dict[str, Write] = {
    "vit_tiny": vit,
    "vit_small": partial(vit, width=384, heads=6),
    "vit_256_49": partial(vit, width=256, heads=4, depth=6, size=112, ratio=3),
    "vit_640": partial(vit, width=640, heads=10, depth=4, ratio=3),
    "minilm_32": partial(bert, tokens=32),
    "minilm_128": bert,
    "bert_128": partial(bert, tokens=49, width=128, heads=2, depth=4),
    "hat_512": hat_encoder,
    "hat_640": partial(hat_encoder, width=640, tokens=25),
}
CNNS: dict[str, Write] = {
    f"{name}_{size}": partial(write, size=size)
    for size in (128, 224)
    for name, write in (("resnet50", resnet), ("mobilenet", mobilenet), ("efficientnet", efficientnet_lite))
}


def _from(write: Write, quantize: Callable[[Path, Path], Path]) -> Write:
    def quantized(path: Path) -> Path:
        return quantize(write(path.with_suffix(".fp32.onnx")), path)

    return quantized


INT8: dict[str, Write] = {
    f"{name}_{how}": _from(TRANSFORMERS[name], quantize)
    for name in ("vit_tiny", "vit_small", "minilm_32", "minilm_128", "hat_512")
    for how, quantize in (("static", static_int8), ("dynamic", dynamic_int8))
}
INT8_CNNS: dict[str, Write] = {
    f"{name}_static": _from(CNNS[name], static_int8) for name in ("resnet50_128", "mobilenet_128", "efficientnet_128")
}


def unseen() -> dict[str, Write]:
    """Return the networks among the `onnx` package's own tests: real graphs, constant weights."""
    import onnx.backend.test

    folder = Path(onnx.backend.test.__file__).parent / "data" / "light"
    return {file.stem: partial(shutil.copyfile, file) for file in sorted(folder.glob("*.onnx"))}


def suites() -> Mapping[str, Mapping[str, Write]]:
    """Return every suite: what writes a model to a path, by the model's name."""
    return {"transformers": TRANSFORMERS, "cnns": CNNS, "int8": INT8, "int8_cnns": INT8_CNNS, "unseen": unseen()}
