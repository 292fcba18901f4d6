"""The ONNX form of torch's functions.

To add one, write a function of a `Call` and of torch's own arguments, and put it into the table of the file where it
belongs.
"""

from __future__ import annotations

from typing import Any

from hwloop.exporter.tracing.operators.call import Call, Emit
from hwloop.exporter.tracing.operators.elementwise import ELEMENTWISE
from hwloop.exporter.tracing.operators.layers import LAYERS
from hwloop.exporter.tracing.operators.pools import POOLS
from hwloop.exporter.tracing.operators.views import VIEWS

OPERATORS: dict[Any, Emit] = {**LAYERS, **ELEMENTWISE, **VIEWS, **POOLS}

__all__ = ["OPERATORS", "Call", "Emit"]
