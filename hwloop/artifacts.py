"""Artifacts and inputs that were measured, kept by content so that they can be run again."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hwloop.digests import digest_file
from hwloop.errors import UsageError
from hwloop.paths import cache_dir
from hwloop.records import Artifact, Target, TensorSpec

MANIFEST = "manifest.json"


class ArtifactArchive:
    """A folder of artifacts and inputs; files that are there already cost no second copy."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or cache_dir() / "artifacts"

    def keep(self, artifact: Artifact, inputs: Mapping[str, Path], inputs_digest: str) -> None:
        """Keep an artifact and the files of its inputs; what is here already is only marked as used.

        Raises:
            OSError: the folder cannot be written.
        """
        self._keep(artifact.digest, artifact.files, artifact.manifest)
        self._keep(inputs_digest, inputs, {name: path.name for name, path in inputs.items()})

    def artifact(self, digest: str) -> Artifact:
        """Return a kept artifact; its files were checked against their digests.

        Raises:
            UsageError: it is not here any more, or damaged.
        """
        folder, manifest = self._find(digest)
        files = {name: folder / name for name in manifest["files"]}
        for name, path in files.items():
            if not path.is_file() or digest_file(path) != manifest["files"][name]:
                raise UsageError(f"{path}: this kept file is missing or damaged", remedy=MEASURE_AGAIN)
        return Artifact(
            manifest["runtime"],
            manifest["runtime_version"],
            manifest["model_digest"],
            files,
            manifest["files"],
            manifest["entry"],
            tuple(map(_spec, manifest["inputs"])),
            tuple(map(_spec, manifest["outputs"])),
            _target(manifest["target"]),
            manifest["options"],
        )

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
            if not folder.is_dir():
                arriving.rename(folder)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)

    def _find(self, digest: str) -> tuple[Path, dict[str, dict[str, str]]]:
        folder = self._root / digest
        try:
            return folder, json.loads((folder / MANIFEST).read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder}: what was measured is not kept any more", remedy=MEASURE_AGAIN) from error


MEASURE_AGAIN = "Measure the model again (--fresh), or compare its file."


def _spec(found: Mapping[str, object]) -> TensorSpec:
    return TensorSpec(str(found["name"]), str(found["dtype"]), tuple(found["shape"]))  # type: ignore[arg-type]


def _target(found: Mapping[str, object] | None) -> Target | None:
    if found is None:
        return None
    major, minor = found["glibc"]  # type: ignore[misc]
    features = tuple(found["features"])  # type: ignore[arg-type]
    return Target(str(found["triple"]), str(found["cpu"]), features, int(found["num_cores"]), (major, minor))  # type: ignore[call-overload]
