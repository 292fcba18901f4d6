"""Data for calibration out of an .npz file: arrays by input name, whose first axis is the samples."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwloop.errors import UsageError
from hwloop.exporter.quantize.calibrate import Batch

REMEDY = "Write it with numpy.savez: an array for each input, whose first axis is the samples."


@dataclass(frozen=True)
class Samples:
    """Arrays by input name, with equally many samples each; `place` is what errors call them."""

    place: str
    arrays: Batch

    @classmethod
    def load(cls, path: Path) -> Samples:
        """Read an .npz file.

        Raises:
            UsageError: it cannot be read, is empty, or its arrays have different numbers of samples.
        """
        try:
            with path.open("rb") as file:
                found = np.load(file, allow_pickle=False)
                arrays = dict(found) if isinstance(found, Mapping) else {}  # an .npy file is an array
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UsageError(f"{path}: this is no .npz file: {error}", remedy=REMEDY) from error
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        if not arrays or [] in shapes.values() or len({shape[0] for shape in shapes.values()}) > 1:
            raise UsageError(f"{path}: it has the arrays {shapes}", remedy=REMEDY)
        return cls(str(path), arrays)

    def batches(self, inputs: Mapping[str, int]) -> list[Batch]:
        """Return batches for a model whose `inputs` take so many samples at once; samples that fill none are left.

        Raises:
            UsageError: an input has no array, or there are fewer samples than a batch takes.
        """
        missing = sorted(inputs.keys() - self.arrays)
        if missing:
            raise UsageError(f"{self.place}: it has no array {missing[0]!r}", remedy=f"Inputs are {', '.join(inputs)}.")
        count = min(len(self.arrays[name]) // size for name, size in inputs.items())
        if not count:
            raise UsageError(
                f"{self.place}: it has fewer samples than a batch takes, {max(inputs.values())}",
                remedy="Give more samples, or a smaller batch.",
            )
        return [
            {name: self.arrays[name][number * size : (number + 1) * size] for name, size in inputs.items()}
            for number in range(count)
        ]
