"""Greedy decoding with what ships: an encoder and a decoder's step as ONNX models, run by ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from hwloop.search.tokens import END, PAD, START

PAST, PRESENT = "past_", "present_"


class OnnxWriter:
    """Writes token by token, as `Writer.write` does with torch; the key/value cache goes round from step to step."""

    def __init__(self, encoder: onnx.ModelProto, step: onnx.ModelProto) -> None:
        """Load both models; batch, length and steps are what they were exported with."""
        self._encoder, self._step = onnx_session(encoder), onnx_session(step)
        self._past = {value.name: value.shape for value in self._step.get_inputs() if value.name.startswith(PAST)}
        self._outputs = [value.name for value in self._step.get_outputs()]

    @property
    def batch(self) -> int:
        """How many sources are read at a time."""
        return int(self._encoder.get_inputs()[0].shape[0])

    def write(self, source: np.ndarray, steps: int) -> np.ndarray:
        """Return the likeliest token at each step [batch, steps] for a source [batch, length]; after END, PAD."""
        memory = _run(self._encoder, {"source": source})
        past = {name: np.zeros(shape, np.float32) for name, shape in self._past.items()}
        token = np.full((len(source), 1), START, np.int64)
        ended = np.zeros_like(token, dtype=bool)
        written = np.full((len(source), steps), PAD, np.int64)
        for step in range(steps):
            found = _run(self._step, {"token": token, "position": np.array([step]), **memory, **past})
            past = {name: found[f"{PRESENT}{name.removeprefix(PAST)}"] for name in past}
            token = np.where(ended, PAD, found[self._outputs[0]].argmax(axis=-1))
            written[:, step : step + 1] = token
            ended |= token == END
            if ended.all():
                break
        return written


def onnx_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Return a session of a model on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a model's outputs by name."""
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))
