"""Quantizing the layers of ONNX graphs, each by its own scheme."""
