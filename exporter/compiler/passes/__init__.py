"""Passes over a whole Relax module, one a file: each is a function from a module and a machine to a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.fold_constants import fold_constants
from hwloop.exporter.compiler.passes.integer_products import rewrite_integer_products
from hwloop.exporter.compiler.passes.products import rewrite_products
from hwloop.exporter.compiler.passes.quantization import lower_quantization
from hwloop.exporter.compiler.passes.quantized_views import move_views

PASSES: tuple[Callable[[Any, Machine], Any], ...] = (
    fold_constants,
    move_views,
    rewrite_integer_products,
    lower_quantization,
    rewrite_products,
)
