"""Accuracy of what ships: the exported, quantized ONNX model of a candidate, run by ONNX Runtime on a task's data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from hwloop.records import Candidate
from hwloop.search.calibration import calibration_batches
from hwloop.search.decoding import OnnxWriter, onnx_session
from hwloop.search.exports import CandidateExporter
from hwloop.search.judging import norm_batches, sampled
from hwloop.search.spaces.base import Setting, Space, Supernet, Writer
from hwloop.search.subnets import Subnet, module_of
from hwloop.search.tasks.base import Data, Split, Task

CALIBRATION_EXAMPLES = 128


class Evaluator:
    """Tells how good candidates of one space are for a task, with the weights of one supernet.

    Layers in int8-static are calibrated, and batch norms given statistics of the subnet's own, on examples to train
    with; accuracies are those on the examples for evaluation (the first `examples` of them; None: all).
    """

    def __init__(
        self,
        space: Space,
        supernet: Supernet,
        setting: Setting,
        task: Task,
        data: Data,
        *,
        examples: int | None = None,
        method: str = "min-max",
    ) -> None:
        module_of(supernet).eval()
        self._writes = isinstance(supernet, Writer)
        batches = calibration_batches(space, supernet, setting, sampled(data.train, CALIBRATION_EXAMPLES))
        self._exporter = CandidateExporter(
            space,
            supernet,
            setting,
            batches=batches,
            method=method,
            norm_batches=norm_batches(supernet, data.train),
        )
        self._task = task
        self._judged = data.eval.take(slice(examples))

    def accuracy(self, candidate: Candidate) -> float:
        """Return the task's metric of a candidate's artifact.

        Raises:
            UsageError: the candidate does not fit the space.
            ModelError: the supernet does what has no ONNX form here.
        """
        return self.judged(self.export(candidate))

    def export(self, candidate: Candidate) -> list[Subnet]:
        """Return the candidate's artifact: its parts as ONNX models; errors as those of `accuracy`."""
        return self._exporter.export(candidate)

    def judged(self, subnets: Sequence[Subnet], examples: int | None = None) -> float:
        """Return the task's metric of an artifact that `export` returned, on the first `examples` (None: all)."""
        judged = self._judged.take(slice(examples))
        return self._task.metric(self._answers(subnets, judged), judged.labels)

    def _answers(self, subnets: Sequence[Subnet], examples: Split) -> np.ndarray:
        if self._writes:
            return written_by(OnnxWriter(*(subnet.model for subnet in subnets)), examples)
        [subnet] = subnets
        return model_outputs(subnet.model, examples)


def written_by(writer: OnnxWriter, examples: Split) -> np.ndarray:
    """Return the tokens that exported models write by themselves [examples, steps]; on one thread."""
    found = []
    for batch in examples.batches(writer.batch):
        source = _filled(batch.inputs["source"], writer.batch)
        found.append(writer.write(source, batch.labels.shape[1])[: len(batch)])
    return np.concatenate(found)


def model_outputs(model: onnx.ModelProto, examples: Split) -> np.ndarray:
    """Return what a model of a fixed batch answers to examples, [examples, ...]; on one thread."""
    session = onnx_session(model)
    size = int(session.get_inputs()[0].shape[0])
    found = []
    for batch in examples.batches(size):
        inputs = {name: _filled(values, size) for name, values in batch.inputs.items()}
        found.append(session.run(None, inputs)[0][: len(batch)])
    return np.concatenate(found)


def _filled(values: np.ndarray, size: int) -> np.ndarray:
    """Return a batch of `size` examples: the last one again and again, where there are fewer."""
    return values if len(values) == size else values[np.minimum(np.arange(size), len(values) - 1)]
