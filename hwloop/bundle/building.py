"""From what a bundle is made of to the bundle: equal byte for byte where that is equal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwloop.bundle import shipped
from hwloop.bundle.archive import write_bundle
from hwloop.bundle.c_header import c_header
from hwloop.bundle.driver import write_driver
from hwloop.bundle.goods import Goods
from hwloop.bundle.manifest import MODEL, as_text, description, files_in
from hwloop.bundle.readme import readme
from hwloop.bundle.runtime_files import unpack_runtime
from hwloop.bundle.shipped.verify import MANIFEST, SIGNATURE
from hwloop.bundle.signing import sign
from hwloop.digests import digest_file
from hwloop.errors import UsageError
from hwloop.records import TensorSpec
from hwloop.scratch import scratch_folder

SHIPPED = Path(shipped.__file__).parent


@dataclass(frozen=True)
class Bundle:
    """A bundle as it was written: `size_bytes` on the disk, `content_bytes` unpacked."""

    path: Path
    manifest: Mapping[str, Any]
    size_bytes: int
    content_bytes: int


def make_bundle(goods: Goods, output: Path, key_file: Path | None = None) -> Bundle:
    """Write a bundle to `output` (a .zip, a .tar, a .tar.gz, or else a new folder), signed if there is a key.

    Raises:
        UsageError: there are no right outputs to verify it with; the output cannot be written; the key is none.
        FetchError: a wheel of the runtime lacks what is taken out of it.
    """
    if not goods.inputs.reference:
        raise UsageError(
            f"{goods.name}: ONNX Runtime on this host lacks an operator of it, so no bundle could be verified",
            remedy="Upgrade hwloop's onnxruntime.",
        )
    with scratch_folder("bundle") as folder:
        manifest = _fill(folder, goods)
        text = as_text(manifest)
        (folder / MANIFEST).write_text(text)
        if key_file:
            (folder / SIGNATURE).write_bytes(sign(text.encode(), key_file))
        content_bytes = _size_bytes(folder)
        write_bundle(folder, output)
    return Bundle(output, manifest, _size_bytes(output) if output.is_dir() else output.stat().st_size, content_bytes)


def _fill(folder: Path, goods: Goods) -> dict[str, Any]:
    """Write everything but the manifest into a folder, and return that."""
    artifact = goods.artifact
    for name, path in artifact.files.items():
        target = folder / MODEL / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        if digest_file(target) != artifact.digests[name]:
            raise UsageError(f"{path}: the file changed while the bundle was made", remedy="Export it again.")
    packages = unpack_runtime(goods.wheels, folder)
    inputs, outputs = _write_reference(folder, goods)
    (folder / "driver").mkdir()
    write_driver(folder / "driver", artifact.runtime, SHIPPED / "model.py")
    for name in ("verify.py", "sample.py"):
        shutil.copyfile(SHIPPED / name, folder / name)
    if artifact.runtime == "tvm":
        shutil.copyfile(SHIPPED / "sample_tvm.c", folder / "sample.c")
        named = [(spec, inputs[spec.name]) for spec in artifact.inputs]
        (folder / "model.h").write_text(c_header(f"{MODEL}/{artifact.entry}", named, list(outputs.items())))
    described = description(goods, folder, packages, inputs, outputs)
    (folder / "README.md").write_text(readme(described))
    return {**described, "files": files_in(folder)}


def _write_reference(folder: Path, goods: Goods) -> tuple[dict[str, str], dict[TensorSpec, str]]:
    """Write inputs and right outputs; return their files, by an input's name and an output's description."""
    (folder / "reference").mkdir()
    inputs, outputs = {}, {}
    for number, spec in enumerate(goods.artifact.inputs):
        inputs[spec.name] = f"reference/input-{number}.bin"
        (folder / inputs[spec.name]).write_bytes(goods.inputs.contents[spec.name])
    for number, (spec, content) in enumerate(goods.inputs.right_outputs.items()):
        outputs[spec] = f"reference/output-{number}.bin"
        (folder / outputs[spec]).write_bytes(content)
    return inputs, outputs


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
