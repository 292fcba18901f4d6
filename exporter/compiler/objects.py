"""Object files of kernels by their content: a model compiles no kernel that another one has compiled before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tvm
import tvm_ffi
from tvm import IRModule

from hwloop.digests import digest_json
from hwloop.exporter.kernel_labels import KernelLabels

NAME_DIGITS = 32


class KernelObjects:
    """A folder of object files, all for one target and by one revision of the compiler.

    A file is there at once or not at all, so that several processes may share the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, module: Any, digests: Mapping[str, str]) -> dict[str, str]:
        """Return names of their content for a module's kernels, by what each is, and was at first (`digests`)."""
        return {
            name: f"kernel_{digest_json([digest, tvm_ffi.structural_hash(module[name])])[:NAME_DIGITS]}"
            for name, digest in digests.items()
        }

    def label(self, names: Mapping[str, str], rules: Mapping[str, str]) -> None:
        """Write down what a model calls its kernels, and by which rule they were made, for whoever reads a profile.

        Raises:
            OSError: the folder cannot be written.
        """
        labels = KernelLabels(self._folder)
        for name, kernel in names.items():
            labels.write(kernel, name, rules.get(name, "no rule"))

    def objects(self, kernels: Mapping[Any, Any], target: Any) -> list[Path]:
        """Return the object files of kernels by their global variables; what is not there is compiled.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        found = []
        for variable, kernel in kernels.items():
            path = self._folder / f"{variable.name_hint}.o"
            if not path.is_file():
                self._compile(IRModule({variable: kernel}), target, path)
            found.append(path)
        return found

    def _compile(self, module: Any, target: Any, path: Path) -> None:
        library = tvm.tirx.build(module, target=target)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".arriving-") as folder:
            made = Path(folder) / path.name
            library.write_to_file(str(made), "o")
            with made.open("rb") as file:
                os.fsync(file.fileno())
            made.replace(path)
