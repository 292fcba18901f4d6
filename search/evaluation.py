"""Accuracy of what ships: the exported, quantized ONNX model of a candidate, run by ONNX Runtime on a task's data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime

from hwloop.errors import UsageError
from hwloop.records import Candidate
from hwloop.search.exports import CandidateExporter
from hwloop.search.judging import norm_batches, sampled
from hwloop.search.spaces.base import Setting, Space, Supernet
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
        calibration = sampled(data.train, CALIBRATION_EXAMPLES)
        # An incomplete batch fits no input of a fixed shape.
        batches = [batch.inputs for batch in calibration.batches(setting.batch) if len(batch) == setting.batch]
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
            UsageError: the candidate does not fit the space, or is exported in several parts.
            ModelError: the supernet does what has no ONNX form here.
        """
        return self.judged(candidate, self.export(candidate))

    def export(self, candidate: Candidate) -> list[Subnet]:
        """Return the candidate's artifact: its parts as ONNX models.

        Raises:
            UsageError: the candidate does not fit the space.
            ModelError: the supernet does what has no ONNX form here.
        """
        return self._exporter.export(candidate)

    def judged(self, candidate: Candidate, subnets: Sequence[Subnet], examples: int | None = None) -> float:
        """Return the task's metric of an artifact that `export` returned, on the first `examples` (None: all).

        Raises:
            UsageError: it has several parts.
        """
        if len(subnets) != 1:
            raise UsageError(
                f"{candidate.space}: its networks are made of {len(subnets)} parts, and no task is for such",
                remedy="Use a space of encoders or of image networks.",
            )
        judged = self._judged.take(slice(examples))
        return self._task.metric(model_outputs(subnets[0].model, judged), judged.labels)


def model_outputs(model: onnx.ModelProto, examples: Split) -> np.ndarray:
    """Return what a model of a fixed batch answers to examples, [examples, ...]; on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    size = int(session.get_inputs()[0].shape[0])
    found = []
    for batch in examples.batches(size):
        inputs = {name: _filled(values, size) for name, values in batch.inputs.items()}
        found.append(session.run(None, inputs)[0][: len(batch)])
    return np.concatenate(found)


def _filled(values: np.ndarray, size: int) -> np.ndarray:
    """Return a batch of `size` examples: the last one again and again, where there are fewer."""
    return values if len(values) == size else values[np.minimum(np.arange(size), len(values) - 1)]
