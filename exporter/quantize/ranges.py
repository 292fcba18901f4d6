"""The ranges that calibration saw, by layer, and their file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwloop.digests import digest_json
from hwloop.errors import UsageError

SCHEMA = 1
Range = tuple[float, float]
AGAIN = "Calibrate again, and save the ranges anew."


@dataclass(frozen=True)
class LayerRange:
    """The range of what feeds a layer, and of what leaves it: behind its bias, and its Relu or Clip."""

    input: Range
    output: Range


@dataclass(frozen=True)
class Ranges:
    """A range for each layer, by the layer's name, so that a supernet's largest subnet calibrates all of its subnets.

    `method` is how they were found, `model_digest` and `data_digest` on what; empty for ranges made otherwise.
    """

    layers: Mapping[str, LayerRange] = field(default_factory=dict)
    method: str = ""
    model_digest: str = ""
    data_digest: str = ""

    def of(self, layer: str) -> LayerRange:
        """Return the range of a layer.

        Raises:
            UsageError: the layer was not calibrated.
        """
        if layer not in self.layers:
            raise UsageError(
                f"layer {layer}: int8-static needs the range of its activations, and there is none",
                remedy="Calibrate a model that has this layer, or give it int8-dynamic.",
            )
        return self.layers[layer]

    def including(self, other: Ranges) -> Ranges:
        """Return these ranges with another calibration's for the layers that are not among them.

        For layers that no single subnet has all of: alternatives, such as patch embeddings of several sizes.
        """
        digests = [
            digest_json([mine, theirs])
            for mine, theirs in ((self.model_digest, other.model_digest), (self.data_digest, other.data_digest))
        ]
        method = self.method if self.method == other.method else f"{self.method}, {other.method}"
        return Ranges({**other.layers, **self.layers}, method, *digests)

    def save(self, path: Path) -> Path:
        """Write a JSON file and return its path."""
        layers = {name: {"input": list(span.input), "output": list(span.output)} for name, span in self.layers.items()}
        about = {"method": self.method, "model_digest": self.model_digest, "data_digest": self.data_digest}
        path.write_text(json.dumps({"schema": SCHEMA, **about, "layers": layers}, indent=1) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Ranges:
        """Read a file that `save` wrote.

        Raises:
            UsageError: it cannot be read, is another kind of file, or holds a range that is none.
        """
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: these are no saved ranges: {error}", remedy=AGAIN) from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA or not isinstance(found.get("layers"), dict):
            raise UsageError(f"{path}: these are no saved ranges of schema {SCHEMA}", remedy=AGAIN)
        layers = {
            name: LayerRange(_range(path, name, "input", entry), _range(path, name, "output", entry))
            for name, entry in found["layers"].items()
        }
        return cls(layers, *(str(found.get(key, "")) for key in ("method", "model_digest", "data_digest")))


def _range(path: Path, layer: str, side: str, entry: Any) -> Range:
    span = entry.get(side) if isinstance(entry, dict) else None
    numbers = isinstance(span, list) and len(span) == 2 and all(isinstance(end, int | float) for end in span)
    if not numbers or not all(map(math.isfinite, span)) or span[0] > span[1]:  # type: ignore[arg-type,index]
        raise UsageError(f"{path}: layer {layer}: {side} is {span!r}, and should be two numbers in order", remedy=AGAIN)
    return float(span[0]), float(span[1])  # type: ignore[index]
