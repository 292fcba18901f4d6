"""Compiled files by the content of what they were made from."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from hwloop.digests import digest_file, digest_json
from hwloop.paths import cache_dir


class CompileCache:
    """A folder an entry: the compiled file and the digest that it must have."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or cache_dir() / "compiled"

    def find(self, recipe: dict[str, object]) -> tuple[Path, str] | None:
        """Return the file made from `recipe` and its digest, or None; a damaged entry is removed."""
        folder = self._folder(recipe)
        if not folder.is_dir():
            return None
        try:
            note = json.loads((folder / "note.json").read_text())
            file = folder / note["file"]
            if digest_file(file) == note["digest"]:
                return file, str(note["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def keep(self, recipe: dict[str, object], built: Path) -> tuple[Path, str]:
        """Move a built file into the cache, at once or not at all; return its place and digest.

        Where another process was quicker, its file is returned.

        Raises:
            OSError: the cache cannot be written.
        """
        folder = self._folder(recipe)
        folder.parent.mkdir(parents=True, exist_ok=True)
        arriving = Path(tempfile.mkdtemp(prefix=".arriving-", dir=folder.parent))
        try:
            digest = digest_file(built)
            shutil.move(built, arriving / built.name)
            note = {"file": built.name, "digest": digest, "recipe": recipe}
            (arriving / "note.json").write_text(json.dumps(note, indent=1))
            try:
                arriving.rename(folder)
            except OSError:
                quicker = self.find(recipe)
                if quicker is None:
                    raise
                return quicker
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        return folder / built.name, digest

    def _folder(self, recipe: dict[str, object]) -> Path:
        return self._root / digest_json(recipe)
