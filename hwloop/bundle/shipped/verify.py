"""Checks this bundle: python3 verify.py [--json]

Every file must be as the manifest says, this machine one that the bundle is for, and the outputs of the reference
inputs those that are in the bundle. Needs python3 (3.8 or newer) alone: no packages, no network, no hwloop.

Exit code: 0 good; 1 outputs differ; 2 damaged, or not for this machine.
"""

from __future__ import annotations

import array
import hashlib
import json
import math
import os
import platform
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SCHEMA = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
LOADED = ("driver", "model", "runtime", "reference")  # nothing may stand there that the manifest does not name
GOOD, DIFFER, REFUSED = 0, 1, 2
ARRAY_CODES = {"float32": "f", "float64": "d", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
               "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "bool": "B"}  # fmt: skip


class Refused(Exception):
    """The bundle is damaged, or not for this machine."""


def read_manifest(folder: str) -> dict[str, Any]:
    """Return a bundle's manifest; refuse one that is none, or of a newer form."""
    path = os.path.join(folder, MANIFEST)
    try:
        with open(path, encoding="utf-8") as file:
            manifest: dict[str, Any] = json.load(file)
    except OSError as error:
        raise Refused("%s cannot be read: %s" % (MANIFEST, error.strerror))
    except (ValueError, RecursionError) as error:
        raise Refused("%s is damaged: %s" % (MANIFEST, error))
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if type(schema) is not int:
        raise Refused("%s is damaged: it does not say which form it has" % MANIFEST)
    if schema > SCHEMA:
        raise Refused(
            "%s has form %d, and %d is the newest one known here: use the bundle's own verify.py, or a newer hwloop"
            % (MANIFEST, schema, SCHEMA)
        )
    return manifest


def checked(folder: str) -> dict[str, Any]:
    """Return the manifest of a bundle whose files are all as it says."""
    manifest = read_manifest(folder)
    try:
        check_files(folder, manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise Refused("%s is damaged: %r" % (MANIFEST, error))
    return manifest


def check_files(folder: str, manifest: dict[str, Any]) -> None:
    """See that every file is there and as the manifest says, and that nothing else is where code is loaded from."""
    for name, expected in manifest["files"].items():
        path = inside(folder, name)
        if not os.path.isfile(path) or os.path.islink(path):
            raise Refused("%s is missing" % name)
        found = sha256_of(path)
        if found != expected["sha256"]:
            raise Refused("%s is damaged: its SHA-256 is %s, not %s" % (name, found, expected["sha256"]))
    for name in files_below(folder):
        if name.split("/")[0] in LOADED and name not in manifest["files"] and "/__pycache__/" not in name:
            raise Refused("%s does not belong to this bundle" % name)


def inside(folder: str, name: str) -> str:
    """Return the path of a file in a folder; refuse a name that leads outside."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise Refused("the name %r leads outside the bundle" % name)
    return os.path.join(folder, *parts)


def files_below(folder: str) -> Iterator[str]:
    """Yield the name of every file below a folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")


def sha256_of(path: str) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha.update(block)
    return sha.hexdigest()


def check_machine(manifest: dict[str, Any], machine: str, glibc: Sequence[int], python: Sequence[int]) -> None:
    """See that a machine's architecture, glibc and Python are those that the bundle is for."""
    target, needed = manifest["target"], manifest["runtime"]["python"]
    if machine != target["machine"]:
        raise Refused("the bundle is for %s, and this machine is %s" % (target["machine"], machine))
    if list(glibc) < target["glibc"]:
        raise Refused("the bundle needs glibc %s or newer, and here is %s" % (dotted(target["glibc"]), dotted(glibc)))
    if needed and list(python) != needed:
        raise Refused("the bundle's runtime is for Python %s, and this is %s" % (dotted(needed), dotted(python)))


def dotted(version: Sequence[int]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version)) or "none"


def glibc_here() -> list[int]:
    """Return this machine's glibc version; nothing where its C library is another one."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return []
    return [int(part) for part in version.split(".")[:2]] if name == "glibc" else []


def run_and_compare(folder: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """Run the reference inputs on the bundle's runtime, and return the verdict on the outputs."""
    sys.path.insert(0, folder)
    from driver.model import Model  # type: ignore[import-not-found]

    started = time.perf_counter()
    model = Model(folder)
    outputs = model.run(model.reference_inputs())
    first_inference_ms = (time.perf_counter() - started) * 1000
    problems, worst = [], 0.0
    for spec in manifest["outputs"]:
        with open(os.path.join(folder, spec["file"]), "rb") as file:
            right = file.read()
        error, problem = compare(spec, right, outputs.get(spec["name"]))
        worst = max(worst, error)
        problems += [problem] if problem else []
    return {
        "verdict": "outputs differ" if problems else "good",
        "message": "; ".join(problems),
        "output_max_abs_err": worst,
        "load_and_first_inference_ms": first_inference_ms,
    }


def compare(spec: dict[str, Any], right: bytes, found: tuple[str, list[int], bytes] | None) -> tuple[float, str]:
    """Return the largest difference between an output and the right one, and what is wrong with it, if anything.

    A value may be off by the tolerance's `relative` share of itself and `of_largest` share of the largest one, and by
    `step` where it is a whole number. NaN and infinities must be where they belong.
    """
    name, dtype, shape = spec["name"], spec["dtype"], spec["shape"]
    if found is None:
        return 0.0, "output %r is missing" % name
    stored = "uint16" if found[0] == "uint16" and dtype == "bfloat16" else dtype
    if [found[0], list(found[1])] != [stored, shape] or len(found[2]) != len(right):
        return 0.0, "output %r is %s%s, not %s%s" % (name, found[0], list(found[1]), dtype, shape)
    if found[2] == right:
        return 0.0, ""
    wanted, got = values(dtype, right), values(dtype, found[2])
    tolerance = spec["tolerance"]
    largest = max((abs(value) for value in wanted if math.isfinite(value)), default=0.0)
    floor = tolerance["of_largest"] * largest + tolerance["step"]
    worst, beyond = 0.0, 0
    for one, other in zip(wanted, got):
        if one == other or (one != one and other != other):
            continue
        difference = abs(one - other) if math.isfinite(one) and math.isfinite(other) else math.inf
        worst = max(worst, difference)
        beyond += difference > tolerance["relative"] * abs(one) + floor
    if beyond:
        return worst, "output %r: %d of %d values differ, by up to %.3g" % (name, beyond, len(wanted), worst)
    return worst, ""


def values(dtype: str, data: bytes) -> Sequence[float]:
    """Return the numbers that are stored as `data`."""
    if dtype == "float16":
        return struct.unpack("<%de" % (len(data) // 2), data)
    if dtype == "bfloat16":
        pairs = (b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))
        return struct.unpack("<%df" % (len(data) // 2), b"".join(pairs))
    numbers = array.array(ARRAY_CODES[dtype])
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def verify(folder: str) -> dict[str, Any]:
    """Return the verdict on a bundle; refuse one that is damaged, or not for this machine."""
    manifest = checked(folder)
    check_machine(manifest, platform.machine(), glibc_here(), sys.version_info[:2])
    try:
        return run_and_compare(folder, manifest)
    except Exception as error:
        raise Refused("the model does not run here: %s: %s" % (type(error).__name__, error))


def in_child(task: Callable[[], int]) -> int:
    """Return what a task returns in a process of its own, or the negative number of the signal that ended it."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = REFUSED
        try:
            status = task()
            sys.stdout.flush()
        finally:
            os._exit(status)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def tell(verdict: dict[str, Any], as_json: bool) -> int:
    """Print a verdict and return the exit code that stands for it."""
    words = verdict["verdict"]
    if as_json:
        print(json.dumps(verdict))
    elif words == "good":
        print("good: every file is as it should be, and outputs differ by at most %.2g" % verdict["output_max_abs_err"])
    else:
        print("%s: %s" % (words, verdict["message"]), file=sys.stderr)
    return {"good": GOOD, "outputs differ": DIFFER}.get(words, REFUSED)


def main(words: Sequence[str]) -> int:
    """Verify the bundle that this file belongs to."""
    folder = os.path.dirname(os.path.abspath(__file__))
    as_json = "--json" in words
    sys.dont_write_bytecode = True
    sys.pycache_prefix = os.path.join(folder, "no", "such", "folder")  # compiled code that nobody checked is not read

    def task() -> int:
        try:
            return tell(verify(folder), as_json)
        except Refused as error:
            return tell({"verdict": "refused", "message": str(error)}, as_json)

    status = in_child(task)
    if status < 0:
        name = signal.Signals(-status).name
        words = "the model was ended by %s; the code may be for a newer processor than this one" % name
        return tell({"verdict": "refused", "message": words}, as_json)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
