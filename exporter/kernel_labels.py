"""What kernels do, in words: a compiled model names them by their content alone."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

KEPT_DIGITS = 6  # of the content's digest, which tells kernels of one name apart
NUMBERS = re.compile(r"(?<=[a-z])\d+(?=_|$)")  # by which a model tells its own kernels apart
WITH_DIGEST = re.compile(r"kernel_([0-9a-f]{16,})")


class KernelLabels:
    """Labels in a folder, one file a kernel; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, kernel: str, name: str, rule: str) -> None:
        """Keep what a model calls a kernel, and the rule that made it; the first label stays.

        Raises:
            OSError: the folder cannot be written.
        """
        file = self._file(kernel)
        if file.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=".arriving-", delete=False) as arriving:
            json.dump({"name": NUMBERS.sub("", name).removeprefix("fused_"), "rule": rule}, arriving)
        Path(arriving.name).replace(file)

    def read(self, kernel: str) -> tuple[str, str]:
        """Return a kernel's label and its rule; of one without a label, the start of its digest."""
        found = WITH_DIGEST.fullmatch(kernel)
        if found is None:
            return kernel, "runtime" if kernel.startswith("vm.") else "kernel"
        start = found[1][:KEPT_DIGITS]
        try:
            note = json.loads(self._file(kernel).read_text())
            return f"{note['name']} {start}", str(note["rule"])
        except (OSError, ValueError, KeyError, TypeError):
            return f"kernel {start}", "kernel"

    def _file(self, kernel: str) -> Path:
        return self._folder / f"{kernel}.label.json"
