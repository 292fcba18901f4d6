"""Artifacts and inputs that were measured, kept by content so that they can be run again."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hwloop.digests import digest_file, digest_json
from hwloop.errors import UsageError
from hwloop.least_used import drop_least_used
from hwloop.paths import cache_dir
from hwloop.records import Artifact, TensorSpec

MANIFEST = "manifest.json"
LIMIT_BYTES = 8 << 30
MEASURE_AGAIN = "Measure the model again (--fresh), or compare its file."


class ArtifactArchive:
    """A folder of artifacts and inputs; beyond its limit the least recently measured ones are dropped."""

    def __init__(self, root: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._root = root or cache_dir() / "artifacts"
        self._limit_bytes = limit_bytes

    def keep(self, artifact: Artifact, inputs: Mapping[str, Path], inputs_digest: str) -> None:
        """Keep an artifact and the files of its inputs; what is here already is only marked as used.

        Raises:
            OSError: the folder cannot be written.
        """
        self._keep(artifact.digest, artifact.files, artifact.manifest)
        self._keep(inputs_digest, inputs, {name: path.name for name, path in inputs.items()})

    def keep_reference(
        self,
        model_digest: str,
        inputs_digest: str,
        outputs: Mapping[TensorSpec, Path],
        quantization: Mapping[str, str],
    ) -> None:
        """Keep the right outputs of a model for some inputs, each in a file named by its content.

        `quantization` is the scheme of each layer of the model, by its name.

        Raises:
            OSError: the folder cannot be written.
        """
        listing = [{**spec.as_json(), "file": path.name} for spec, path in outputs.items()]
        files = {path.name: path for path in outputs.values()}
        self._keep(
            _reference_name(model_digest, inputs_digest),
            files,
            {"outputs": listing, "quantization": dict(quantization)},
        )

    def reference(self, model_digest: str, inputs_digest: str) -> dict[TensorSpec, Path]:
        """Return the files of a model's right outputs for some inputs.

        Raises:
            UsageError: they are not here, or not any more.
        """
        folder, manifest = self._find(_reference_name(model_digest, inputs_digest))
        return {TensorSpec.from_json(spec): folder / spec["file"] for spec in manifest["outputs"]}

    def quantization(self, model_digest: str, inputs_digest: str) -> dict[str, str] | None:
        """Return the scheme of each layer of a model, by its name; None where that was not kept."""
        _, manifest = self._find(_reference_name(model_digest, inputs_digest))
        return manifest.get("quantization")

    def artifact(self, digest: str) -> Artifact:
        """Return a kept artifact; its files were checked against their digests.

        Raises:
            UsageError: it is not here any more, or damaged.
        """
        folder, manifest = self._find(digest)
        try:
            artifact = Artifact.from_manifest(manifest, folder)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UsageError(f"{folder / MANIFEST}: this is damaged ({error!r})", remedy=MEASURE_AGAIN) from error
        for name, path in artifact.files.items():
            if not path.is_file() or digest_file(path) != artifact.digests[name]:
                raise UsageError(f"{path}: this kept file is missing or damaged", remedy=MEASURE_AGAIN)
        return artifact

    def inputs(self, digest: str) -> dict[str, tuple[Path, str]]:
        """Return the file and the digest of each kept input, by name.

        Raises:
            UsageError: they are not here any more.
        """
        folder, digests = self._find(digest)
        return {name: (folder / name, content) for name, content in digests.items()}

    def _keep(self, digest: str, files: Mapping[str, Path], manifest: Mapping[str, object]) -> None:
        folder = self._root / digest
        if (folder / MANIFEST).is_file():
            with suppress(FileNotFoundError):  # another process drops it just now
                os.utime(folder)
                return
        self._root.mkdir(parents=True, exist_ok=True)
        arriving = Path(tempfile.mkdtemp(prefix=".arriving-", dir=self._root))
        try:
            for name, source in files.items():
                target = arriving / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            (arriving / MANIFEST).write_text(json.dumps(manifest))
            try:
                arriving.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
        finally:
            shutil.rmtree(arriving, ignore_errors=True)
        drop_least_used(self._root, MANIFEST, self._limit_bytes, keep=folder)

    def _find(self, digest: str) -> tuple[Path, dict[str, Any]]:
        folder = self._root / digest
        try:
            return folder, json.loads((folder / MANIFEST).read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder}: what was measured is not kept any more", remedy=MEASURE_AGAIN) from error


def _reference_name(model_digest: str, inputs_digest: str) -> str:
    return digest_json(["reference", model_digest, inputs_digest])
