"""Passes over a whole Relax module, one a file: each is a function from a module and a machine to a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.byte_tables import tabulate_bytes
from hwloop.exporter.compiler.passes.channels_last import channels_last
from hwloop.exporter.compiler.passes.clips import restore_clips
from hwloop.exporter.compiler.passes.convolutions import rewrite_convolutions
from hwloop.exporter.compiler.passes.fold_constants import fold_constants
from hwloop.exporter.compiler.passes.idle_turns import drop_idle_turns
from hwloop.exporter.compiler.passes.inference import simplify_for_inference
from hwloop.exporter.compiler.passes.integer_products import rewrite_integer_products
from hwloop.exporter.compiler.passes.products import rewrite_products
from hwloop.exporter.compiler.passes.quantization import lower_quantization
from hwloop.exporter.compiler.passes.quantized_views import move_views

PASSES: tuple[Callable[[Any, Machine], Any], ...] = (
    fold_constants,
    restore_clips,
    simplify_for_inference,
    channels_last,
    drop_idle_turns,
    move_views,
    tabulate_bytes,
    rewrite_integer_products,
    lower_quantization,
    fold_constants,
    rewrite_convolutions,
    rewrite_products,
)
