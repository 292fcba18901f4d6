"""Rules that schedule one fused kernel, one a file; the first that matches is taken."""

from __future__ import annotations

from hwloop.exporter.compiler.rules.base import Rule
from hwloop.exporter.compiler.rules.channelwise import Channelwise
from hwloop.exporter.compiler.rules.convolution import Convolution
from hwloop.exporter.compiler.rules.elementwise import Elementwise
from hwloop.exporter.compiler.rules.integer_matmul import IntegerMatmul
from hwloop.exporter.compiler.rules.matmul import Matmul
from hwloop.exporter.compiler.rules.reduction import Reduction

RULES: tuple[Rule, ...] = (Matmul(), IntegerMatmul(), Convolution(), Channelwise(), Reduction(), Elementwise())
