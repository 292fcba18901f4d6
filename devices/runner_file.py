"""The one file that is pushed to a device: the package `runner`, packed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from hwloop.digests import digest_bytes
from hwloop.paths import cache_dir

SOURCES = Path(__file__).parent / "runner"
START = "import sys\nfrom runner.main import main\nmain(sys.argv[1:])\n"
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def runner_file() -> Path:
    """Return the packed runner; equal sources make equal bytes, and its name carries their digest."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in {"__main__.py": START, **_sources()}.items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), text)
    data = packed.getvalue()
    file = cache_dir() / "runner" / f"runner-{digest_bytes(data)[:16]}.pyz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        arriving = file.with_suffix(f".{id(packed)}")
        arriving.write_bytes(data)
        arriving.replace(file)
    return file


def _sources() -> dict[str, str]:
    return {f"runner/{path.name}": path.read_text() for path in sorted(SOURCES.glob("*.py"))}
