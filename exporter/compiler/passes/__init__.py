"""Passes over a whole Relax module, one a file: each is a function from a module and a machine to a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.passes.fold_constants import fold_constants
from hwloop.exporter.compiler.passes.products import rewrite_products

PASSES: tuple[Callable[[Any, Machine], Any], ...] = (fold_constants, rewrite_products)
