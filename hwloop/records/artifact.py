"""What is pushed to a device, and what it needs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hwloop.digests import digest_json
from hwloop.records.device import Target


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: its name, numpy's name of its type, its shape (outputs: -1 where unknown)."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def as_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> TensorSpec:
        """Return what `as_json` gave the JSON form of."""
        return cls(found["name"], found["dtype"], tuple(found["shape"]))


@dataclass(frozen=True)
class WheelNeed:
    """A wheel that a runtime needs on a device.

    `requirement` is pip's; `members` are globs of the files to keep (none given: the whole wheel).
    `any_python` wheels do not depend on the device's Python.
    """

    requirement: str
    members: tuple[str, ...] = ()
    any_python: bool = False


@dataclass(frozen=True)
class RuntimeNeeds:
    """What a runtime needs on a device before any artifact."""

    runtime: str
    wheels: tuple[WheelNeed, ...]

    def exactly(self, version: str) -> RuntimeNeeds:
        """Return the same with this version of the runtime itself, which is the first wheel."""
        first, *others = self.wheels
        name = first.requirement.partition("==")[0]
        return replace(self, wheels=(replace(first, requirement=f"{name}=={version}"), *others))


@dataclass(frozen=True)
class Artifact:
    """Files for one runtime of one exact version, built from one model.

    `files` maps the name on the device (relative, no `..`) to the local file; `digests` maps the same names
    to the SHA-256 of the content. `entry` is the file that the runtime loads. `options` is what the runner
    must tell the runtime at load (JSON-able), such as the values of symbolic dimensions. `notes` are what a user should
    know of how it was built; they do not travel with it.
    """

    runtime: str
    runtime_version: str
    model_digest: str
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    entry: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    target: Target | None = None
    options: Mapping[str, object] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], folder: Path) -> Artifact:
        """Return the artifact whose manifest this is, and whose files stand in a folder.

        Raises:
            KeyError, TypeError, ValueError: this is no manifest.
        """
        target = manifest["target"]
        return cls(
            runtime=manifest["runtime"],
            runtime_version=manifest["runtime_version"],
            model_digest=manifest["model_digest"],
            files={name: folder / name for name in manifest["files"]},
            digests=manifest["files"],
            entry=manifest["entry"],
            inputs=tuple(TensorSpec.from_json(spec) for spec in manifest["inputs"]),
            outputs=tuple(TensorSpec.from_json(spec) for spec in manifest["outputs"]),
            target=target
            and Target(
                target["triple"],
                target["cpu"],
                tuple(target["features"]),
                target["num_cores"],
                (target["glibc"][0], target["glibc"][1]),
            ),
            options=manifest["options"],
        )

    @cached_property
    def manifest(self) -> dict[str, object]:
        """The JSON-able description that travels with the files; its digest names the artifact."""
        target = self.target
        return {
            "runtime": self.runtime,
            "runtime_version": self.runtime_version,
            "model_digest": self.model_digest,
            "files": dict(sorted(self.digests.items())),
            "entry": self.entry,
            "inputs": [spec.as_json() for spec in self.inputs],
            "outputs": [spec.as_json() for spec in self.outputs],
            "target": target
            and {
                "triple": target.triple,
                "cpu": target.cpu,
                "features": list(target.features),
                "num_cores": target.num_cores,
                "glibc": list(target.glibc),
            },
            "options": dict(self.options or {}),
        }

    @cached_property
    def digest(self) -> str:
        """The content digest of the artifact."""
        return digest_json(self.manifest)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())
