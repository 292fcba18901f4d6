"""Compiled files by the content of what they were made from."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwloop.digests import digest_bytes, digest_file, digest_json
from hwloop.least_used import drop_least_used
from hwloop.paths import cache_dir

NOTE = "note.json"
LIMIT_BYTES = 8 << 30
SPARED_S = 3600.0


@dataclass(frozen=True)
class CompiledFile:
    """A compiled file's place and digest; `unscheduled` are the kernels in it that no rule made."""

    path: Path
    digest: str
    unscheduled: tuple[str, ...] = ()


class CompileCache:
    """A folder an entry: the compiled file and the digest that it must have.

    Beyond the limit those used longest ago are dropped, but none that was used within the last hour: a run that is
    under way may still have to send it to a device.
    """

    def __init__(self, root: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._root = root or cache_dir() / "compiled"
        self._limit_bytes = limit_bytes

    def find(self, recipe: dict[str, object]) -> CompiledFile | None:
        """Return the file made from `recipe`, or None; a damaged entry is removed."""
        folder = self._folder(recipe)
        if not folder.is_dir():
            return None
        try:
            note = json.loads((folder / NOTE).read_text())
            file = folder / note["file"]
            if digest_file(file) == note["digest"]:
                os.utime(folder)
                return CompiledFile(file, str(note["digest"]), tuple(note["unscheduled"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def keep(
        self, recipe: dict[str, object], name: str, content: bytes, unscheduled: Sequence[str] = ()
    ) -> CompiledFile:
        """Keep a built file, at once or not at all.

        Where another process was quicker, its file is returned.

        Raises:
            OSError: the cache cannot be written.
        """
        folder = self._folder(recipe)
        folder.parent.mkdir(parents=True, exist_ok=True)
        arriving = Path(tempfile.mkdtemp(prefix=".arriving-", dir=folder.parent))
        try:
            digest = digest_bytes(content)
            (arriving / name).write_bytes(content)
            note = {"file": name, "digest": digest, "unscheduled": list(unscheduled), "recipe": recipe}
            (arriving / NOTE).write_text(json.dumps(note, indent=1))
            try:
                arriving.rename(folder)
            except OSError:
                quicker = self.find(recipe)
                if quicker is None:
                    raise
                return quicker
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        drop_least_used(self._root, NOTE, self._limit_bytes, keep=folder, spared_s=SPARED_S)
        return CompiledFile(folder / name, digest, tuple(unscheduled))

    def kernels(self, recipe: dict[str, object]) -> list[str] | None:
        """Return the digests of the kernels that a recipe is known to come to; None if it is not."""
        try:
            return [str(kernel) for kernel in json.loads(self._kernels(recipe).read_text())]
        except (OSError, ValueError, TypeError):
            return None

    def keep_kernels(self, recipe: dict[str, object], kernels: Sequence[str]) -> None:
        """Keep the digests of a recipe's kernels.

        Raises:
            OSError: the cache cannot be written.
        """
        file = self._kernels(recipe)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".arriving-", delete=False) as arriving:
            json.dump(list(kernels), arriving)
        Path(arriving.name).rename(file)

    def objects(self, kind: object) -> Path:
        """Return the folder for object files of a kind; whoever writes there sees to it that they are whole."""
        return self._root / "objects" / digest_json(kind)

    def _kernels(self, recipe: dict[str, object]) -> Path:
        return self._root / "kernels" / f"{digest_json(recipe)}.json"

    def _folder(self, recipe: dict[str, object]) -> Path:
        return self._root / digest_json(recipe)
