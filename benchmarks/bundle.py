"""What a bundle weighs and how soon it answers, beside the usual way to ship the same model with ONNX Runtime.

    python benchmarks/bundle.py
    python benchmarks/bundle.py --model model.onnx --rounds 40
    python benchmarks/bundle.py --no-emulated

The model is the largest subnet of vit-mini in int8 (static), exported for this machine with TVM; the usual way is
onnxruntime's wheel, numpy's wheel and the ONNX file. Sizes are told packed (a .zip; the wheels and the file as they are
fetched) and unpacked. A cold start is from the start of a Python process, with the standard library alone, to the end
of the first inference on one thread; both take turns, and so does the C sample, to its first word. On the emulated
Raspberry Pi 4 the instructions of the same are counted from the process's first one, twice. Export is timed with an
empty compile cache and again; what is downloaded was here before. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hwloop.bundle.sourcing import Place, place_of
from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device, EmulatedDevice, LocalDevice
from hwloop.devices.folders import Blob, Folder
from hwloop.devices.provision import wheels_for
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.base import Completed
from hwloop.devices.transports.emulated import EmulatedTransport
from hwloop.devices.transports.factory import open_transport
from hwloop.digests import digest_file
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.paths import cache_dir
from hwloop.records import QuantPolicy, Scheme
from hwloop.search.model_files import Numbers, named_candidates, write_candidates

LOCAL = Device("local", LocalDevice(transport="local"))
PI4 = Device("pi4", EmulatedDevice(transport="emulated", board="pi4"))
TVM, USUAL, IN_C = "tvm_bundle", "onnxruntime_usual", "tvm_bundle_c_sample"
DEADLINE_S = 600.0
COUNTS = 2
PYTHON = "/usr/bin/python3"  # the emulator that counts looks in no PATH
# One inference, the bundle's way or the usual way; then the count of instructions since the process began, if asked.
COLD = """
import json, os, sys
kind, place, counted = sys.argv[1:4]
sys.path.insert(0, place)
if kind == "tvm_bundle":
    from driver.model import Model
    model = Model(place)
    model.run(model.reference_inputs())
else:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import numpy, onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(place + "/model.onnx", options, providers=["CPUExecutionProvider"])
    with open(place + "/manifest.json") as file:
        specs = json.load(file)["inputs"]
    read = lambda one: numpy.fromfile(place + "/" + one["file"], one["dtype"]).reshape(one["shape"])
    session.run(None, {one["name"]: read(one) for one in specs})
if counted == "counted":
    import ctypes
    count = ctypes.c_uint64(0)
    ctypes.CDLL(None).syscall(ctypes.c_long(141), ctypes.c_ulong(0x68776C6F6F70), ctypes.byref(count))
    print(count.value)
else:
    print("done", flush=True)
"""


@dataclass(frozen=True)
class Shipped:
    """The two ways for one place, each as an unpacked folder, and the bytes of what is sent."""

    bundle: Path
    usual: Path
    bundle_bytes: int
    usual_bytes: int
    manifest: dict[str, Any]
    wheels: list[Path]


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="an ONNX file of fixed sizes, in place of the subnet")
    parser.add_argument("--rounds", type=int, default=20, help="cold starts of each way")
    parser.add_argument("--no-emulated", action="store_true", help="leave the emulated Raspberry Pi out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or subnet(folder)
        caches = Caches(folder)
        found: dict[str, Any] = {"model": model.name, "model_mb": mb(model.stat().st_size)}
        shipped = ship(model, place_of(LOCAL, print), "local", folder / "here", caches, found)
        found["cold_start_ms"] = cold_starts(shipped, options.rounds, folder)
        found["ratio_onnxruntime_over_tvm"] = round(
            found["cold_start_ms"][USUAL]["median"] / found["cold_start_ms"][TVM]["median"], 2
        )
        if not options.no_emulated:
            found["pi4"] = emulated(model, folder / "pi4", caches)
    show(found)
    print(json.dumps(found))


class Caches:
    """hwloop's commands with a compile cache of their own, empty at first, and the wheels that are here."""

    def __init__(self, folder: Path) -> None:
        cache = folder / "cache"
        cache.mkdir()
        for shared in ("wheels", "emulator", "scratch"):
            (cache_dir() / shared).mkdir(parents=True, exist_ok=True)
            (cache / shared).symlink_to(cache_dir() / shared)
        self._environment = os.environ | {"HWLOOP_CACHE_DIR": str(cache), "HWLOOP_STORE": str(folder / "store.sqlite")}
        fleet = "devices:\n  local: {transport: local}\n  pi4: {transport: emulated, board: pi4}\n"
        self._fleet = folder / "devices.yaml"
        self._fleet.write_text(fleet)

    def timed(self, *words: object) -> float:
        """Return the seconds that a command takes."""
        command = [sys.executable, "-m", "hwloop", *map(str, words), "--devices", str(self._fleet)]
        started = time.perf_counter()
        subprocess.run(command, env=self._environment, check=True, timeout=DEADLINE_S, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def subnet(folder: Path) -> Path:
    """Return the ONNX file of vit-mini's largest subnet, all of its layers in int8."""
    (largest,) = named_candidates("vit-mini@largest")
    candidate = replace(largest, policy=QuantPolicy({"*": Scheme.INT8_STATIC}))
    (file,) = write_candidates([candidate], folder, {}, Numbers())
    return file.path


def ship(model: Path, place: Place, device: str, folder: Path, caches: Caches, found: dict[str, Any]) -> Shipped:
    """Prepare both ways for a place; note their sizes, and how long export and verification take."""
    folder.mkdir()
    packed, unpacked, usual = folder / "bundle.zip", folder / "bundle", folder / "usual"
    found["export_cold_s"] = round(caches.timed("export", model, "-d", device, "-o", packed), 2)
    found["export_again_s"] = round(caches.timed("export", model, "-d", device, "-o", unpacked), 2)
    found["verify_s"] = round(caches.timed("verify", packed, *([] if device == "local" else ["-d", device])), 2)
    wheels = wheels_for(OnnxRuntime().needs(), place.name, place.facts, Deadline.after(DEADLINE_S), print)
    manifest = json.loads((unpacked / "manifest.json").read_text())
    usual.mkdir()
    (usual / "model.onnx").write_bytes(model.read_bytes())
    (usual / "manifest.json").write_bytes((unpacked / "manifest.json").read_bytes())
    (usual / "reference").symlink_to(unpacked / "reference")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(usual)
    usual_bytes = model.stat().st_size + sum(wheel.stat().st_size for wheel in wheels)
    bundle_bytes, unpacked_bytes = packed.stat().st_size, size_bytes(unpacked)
    compiled_bytes = manifest["files"][manifest["model"]["entry"]]["bytes"]
    found |= {
        "bundle_mb": {"packed": mb(bundle_bytes), "unpacked": mb(unpacked_bytes)},
        "bundle_beyond_compiled_model_mb": mb(unpacked_bytes - compiled_bytes),
        "bundle_beyond_onnx_file_mb": mb(unpacked_bytes - model.stat().st_size),
        "onnxruntime_usual_mb": {"packed": mb(usual_bytes), "unpacked": mb(size_bytes(usual))},
    }
    return Shipped(unpacked, usual, bundle_bytes, usual_bytes, manifest, wheels)


def cold_starts(shipped: Shipped, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return the times of cold starts, in ms, by way; the ways take turns, there and back."""
    script, program = folder / "cold.py", shipped.bundle / "sample"
    script.write_text(COLD)
    words = ["cc", "-std=c11", "-O2", "sample.c", "-Iruntime/include", "-Lruntime", "-Wl,--no-as-needed"]
    words += ["-ltvm_runtime", "-ltvm_ffi", "-Wl,-rpath,$ORIGIN/runtime", "-o", program.name]
    subprocess.run(words, cwd=shipped.bundle, check=True)
    python = [sys.executable, "-I", "-S", str(script)]
    ways: dict[str, tuple[list[str], Path]] = {
        TVM: ([*python, TVM, str(shipped.bundle), ""], folder),
        USUAL: ([*python, USUAL, str(shipped.usual), ""], folder),
        IN_C: ([str(program)], shipped.bundle),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way in list(ways)[:: 1 if number % 2 else -1]:
            command, place = ways[way]
            took_ms = start_to_first_word_ms(command, place)
            if number:  # the first round fills the page cache
                times[way].append(took_ms)
    return {way: spread(taken) for way, taken in times.items()}


def start_to_first_word_ms(command: Sequence[str], place: Path) -> float:
    """Return the milliseconds from the start of a process to its first line."""
    environment = {"TVM_NUM_THREADS": "1"}
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took_ms = (time.perf_counter() - started) * 1000
    if process.returncode or not line:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return took_ms


def spread(times: Sequence[float]) -> dict[str, float]:
    """Return median, quartiles and the quickest."""
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return {
        "median": round(median, 1),
        "quartile_1": round(low, 1),
        "quartile_3": round(high, 1),
        "min": round(min(times), 1),
        "rounds": len(times),
    }


def emulated(model: Path, folder: Path, caches: Caches) -> dict[str, Any]:
    """Return sizes for the emulated board, and the instructions from a process's first to the end of an inference."""
    found: dict[str, Any] = {}
    shipped = ship(model, place_of(PI4, print), "pi4", folder, caches, found)
    script = folder / "cold.py"
    script.write_text(COLD)
    transport = open_transport(PI4, print)
    assert isinstance(transport, EmulatedTransport)
    session = DeviceSession("pi4", transport, SessionOptions("python3"))
    try:
        session.open(Deadline.after(DEADLINE_S))
        for way, content in ((TVM, bundle_folder(shipped, script)), (USUAL, usual_folder(shipped, script))):
            session.push([content], [], Deadline.after(DEADLINE_S))
            place = f"{session.facts.cache_dir}/folders/{content.digest}"
            command = [*transport.counted_prefix, PYTHON, "-S", f"{place}/cold.py", way, place, "counted"]
            counts = [count_of(transport.run(command, Deadline.after(DEADLINE_S))) for _ in range(COUNTS)]
            found.setdefault("instructions_to_first_inference", {})[way] = counts
    finally:
        session.close()
    counted = found["instructions_to_first_inference"]
    found["ratio_onnxruntime_over_tvm"] = round(counted[USUAL][0] / counted[TVM][0], 2)
    return found


def count_of(ended: Completed) -> int:
    """Return the count that a run printed."""
    if ended.status:
        raise SystemExit(f"counting failed: {ended.stderr.decode(errors='replace')}")
    return int(ended.stdout)


def bundle_folder(shipped: Shipped, script: Path) -> Folder:
    """Return a bundle as it stands on a device, with the script beside it."""
    return Folder({"cold.py": blob(script)} | files_of(shipped.bundle, "*"))


def usual_folder(shipped: Shipped, script: Path) -> Folder:
    """Return the wheels, the ONNX file and the inputs as they stand on a device, with the script beside them."""
    files = {"cold.py": blob(script), "model.onnx": blob(shipped.usual / "model.onnx")}
    files |= {name: blob(shipped.bundle / name) for name in ("manifest.json", *inputs_of(shipped))}
    return Folder(files, tuple(blob(wheel) for wheel in shipped.wheels))


def inputs_of(shipped: Shipped) -> list[str]:
    """Return the names of the reference inputs' files."""
    return [spec["file"] for spec in shipped.manifest["inputs"]]


def files_of(folder: Path, pattern: str) -> dict[str, Blob]:
    """Return the files below a folder by their names."""
    return {path.relative_to(folder).as_posix(): blob(path) for path in folder.rglob(pattern) if path.is_file()}


def blob(path: Path) -> Blob:
    """Return a file with its digest."""
    return Blob(path, digest_file(path))


def size_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def mb(value_bytes: int) -> float:
    """Return megabytes to two digits."""
    return round(value_bytes / 1e6, 2)


def show(found: dict[str, Any]) -> None:
    """Print what was found."""
    table = Table("", "TVM bundle", "onnxruntime + numpy + model", title=f"{found['model']}, {found['model_mb']} MB")
    for place, sizes in (("local", found), ("pi4", found.get("pi4"))):
        if sizes:
            for form in ("packed", "unpacked"):
                usual = sizes["onnxruntime_usual_mb"][form]
                table.add_row(f"{place}: {form}, MB", str(sizes["bundle_mb"][form]), str(usual))
    starts = found["cold_start_ms"]
    cells = [f"{starts[way]['median']} ({starts[way]['quartile_1']} to {starts[way]['quartile_3']})" for way in starts]
    table.add_row("local: cold start, ms (quartiles)", cells[0], cells[1])
    table.add_row("local: cold start of the C sample, ms", cells[2], "-")
    if "pi4" in found:
        counts = found["pi4"]["instructions_to_first_inference"]
        table.add_row("pi4: instructions to first inference", f"{counts[TVM][0]:,}", f"{counts[USUAL][0]:,}")
    Console().print(table)
    for place, times in (("local", found), ("pi4", found.get("pi4"))):
        if times:
            cold, again, verify = times["export_cold_s"], times["export_again_s"], times["verify_s"]
            print(f"{place}: export {cold} s, again {again} s; verify {verify} s")


if __name__ == "__main__":
    main()
