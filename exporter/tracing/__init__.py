"""From a torch module to ONNX without torch's exporter: it is run once, and what it computes is written down."""

from hwloop.exporter.tracing.recorder import trace

__all__ = ["trace"]
