"""`hwloop export -o`: bundles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hwloop.cli import units
from hwloop.cli.compare import one_device
from hwloop.cli.models import Asked, workloads_for
from hwloop.cli.options import refuse_strange_runtimes
from hwloop.cli.output import print_json, say
from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.bundle.building import Bundle
    from hwloop.bundle.goods import Accuracy, Goods
    from hwloop.bundle.sourcing import Place
    from hwloop.devices.fleet import Device
    from hwloop.records import Measurement, Target
    from hwloop.store import Store

VERSION = re.compile(r"(\d+)\.(\d+)")
USUAL_CPUS = {"x86_64": "x86-64", "aarch64": "generic"}


@dataclass(frozen=True)
class BundleOptions:
    """Where a bundle goes, what it is for, and who signs it. `target` is a triple, of a device that nobody asks."""

    output: Path
    device: str | None = None
    target: str | None = None
    cpu: str | None = None
    features: list[str] = field(default_factory=list)
    glibc: str = "2.28"
    python: str = "3.11"
    runtime: str | None = None
    key_file: Path | None = None
    devices_file: Path | None = None
    search: str | None = None
    rule: str = "fastest"


def export_bundles(asked: Asked, sizes: dict[str, int], options: BundleOptions, *, as_json: bool) -> None:
    """Export what was asked for as bundles, and say what they are.

    Raises:
        UsageError, ModelError: something cannot be exported.
        InfrastructureError: the device or the network failed.
    """
    from hwloop.bundle.building import make_bundle
    from hwloop.paths import store_path
    from hwloop.store import Store

    with Store.open(store_path()) as store:
        bundles = [
            make_bundle(goods, output, options.key_file) for goods, output in _goods(asked, sizes, options, store)
        ]
    if as_json:
        print_json([_item(bundle) for bundle in bundles])
        return
    for bundle in bundles:
        typer.echo(_line(bundle))


def _goods(asked: Asked, sizes: dict[str, int], options: BundleOptions, store: Store) -> Iterator[tuple[Goods, Path]]:
    """Yield what each bundle is made of, and where it goes."""
    from hwloop.bundle.sourcing import goods_measured, goods_of
    from hwloop.cli.progress import counted
    from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
    from hwloop.exporter.runtimes.tvm import Tvm

    runtimes = {"onnxruntime": OnnxRuntime, "tvm": Tvm}
    refuse_strange_runtimes([options.runtime] if options.runtime else [])
    if options.search:
        for measurement, accuracy, output in _won(options, store):
            place, runtime = _place(options, measurement.subject.device), runtimes[measurement.subject.runtime]()
            yield goods_measured(measurement, runtime, place, store, say, accuracy=accuracy), output
        return
    measurement_id = _measurement_id(asked)
    if measurement_id:
        measurement = _measurement(store, measurement_id)
        subject = measurement.subject
        if options.runtime not in (None, subject.runtime):
            raise UsageError(
                f"-r {options.runtime}: measurement {measurement_id} is of {subject.runtime}", remedy="Leave -r out."
            )
        place = _place(options, subject.device)
        yield goods_measured(measurement, runtimes[subject.runtime](), place, store, say), options.output
        return
    with workloads_for(asked, sizes, {}) as (workloads, _):
        outputs = _outputs(options.output, [workload.name for workload in workloads])
        place, runtime = _place(options, None), runtimes[_runtime_for(options)]()
        with counted("making bundles", len(workloads)) as made:
            for number, (workload, output) in enumerate(zip(workloads, outputs, strict=True), 1):
                yield goods_of(workload, runtime, place, store, say), output
                made(number)


def _won(options: BundleOptions, store: Store) -> Iterator[tuple[Measurement, Accuracy | None, Path]]:
    """Yield what was measured of a search's winner on one device, a part at a time, and where its bundle goes."""
    from hwloop.bundle.goods import Accuracy
    from hwloop.search.goals import ACCURACY
    from hwloop.search.loop.winner import Rule, winner
    from hwloop.store.searches import Searches

    search = Searches(store).get(options.search or "")
    trial = winner(search, Rule.parse(options.rule), options.device)
    device = options.device or search.request["devices"][0]
    found = [store.get(measurement_id, with_runs=False) for measurement_id in trial.measurements]
    parts = [one for one in found if one.subject.device == device]
    values = trial.values or {}
    say(f"{options.rule}: {trial.candidate.digest[:8]}, " + ", ".join(f"{key} {values[key]:.6g}" for key in values))
    accuracy = Accuracy(search.request["task"], ACCURACY, values[ACCURACY]) if ACCURACY in values else None
    for part, output in zip(parts, _outputs(options.output, [one.subject.model for one in parts]), strict=True):
        yield part, accuracy, output


def _measurement(store: Store, prefix: str) -> Measurement:
    try:
        return store.get(prefix, with_runs=False)
    except UsageError as error:
        raise UsageError(f"{prefix!r} is no file, and {error}", remedy=error.remedy) from error


def _measurement_id(asked: Asked) -> str | None:
    """Return the id of the measurement that was asked for, if it was one."""
    if len(asked.words) != 1 or asked.space or asked.policy:
        return None
    (word,) = asked.words
    path = Path(word)
    return word if [path] == asked.paths() and not path.suffix and not path.exists() else None


def _outputs(output: Path, names: list[str]) -> list[Path]:
    """Return where each of some bundles goes: one takes the output itself, several stand in it as folders."""
    from hwloop.bundle.archive import is_archive

    if len(names) == 1:
        return [output]
    if is_archive(output.name):
        raise UsageError(f"-o {output}: it takes one model, and here are {len(names)}", remedy="Name a folder.")
    return [output / name.replace("/", "-") for name in names]


def _place(options: BundleOptions, measured_on: str | None) -> Place:
    from hwloop.bundle.sourcing import bare_place, place_of

    if options.target:
        if options.device:
            raise UsageError("-d and --target are two ways to say the same", remedy="Give one of them.")
        return bare_place(_target(options), _version("--python", options.python))
    return place_of(_device(options, measured_on), say)


def _runtime_for(options: BundleOptions) -> str:
    """Return the runtime of a new bundle: the one asked for, else tvm where the device runs it."""
    if options.target:
        return options.runtime or "tvm"
    device = _device(options, None)
    if options.runtime:
        device.require_runtime(options.runtime)
        return options.runtime
    return "tvm" if "tvm" in device.settings.runtimes else device.settings.runtimes[0]


def _device(options: BundleOptions, measured_on: str | None) -> Device:
    from hwloop.devices.fleet import load_fleet

    name = options.device or measured_on
    return one_device(load_fleet(options.devices_file).select([name] if name else []))


def _target(options: BundleOptions) -> Target:
    from hwloop.records import Target

    triple = options.target or ""
    machine = triple.split("-", 1)[0]
    if machine not in USUAL_CPUS or not triple.endswith("-linux-gnu"):
        raise UsageError(
            f"--target {triple}: hwloop knows no such target",
            remedy=f"Use one of {', '.join(f'{known}-linux-gnu' for known in USUAL_CPUS)}.",
        )
    usual = ("+neon",) if machine == "aarch64" else ()
    features = tuple(options.features) or usual
    return Target(triple, options.cpu or USUAL_CPUS[machine], features, 1, _version("--glibc", options.glibc))


def _version(option: str, text: str) -> tuple[int, int]:
    found = VERSION.fullmatch(text)
    if not found:
        raise UsageError(f"{option} {text}: this is no version of two numbers, as in 2.28")
    return int(found[1]), int(found[2])


def _item(bundle: Bundle) -> dict[str, object]:
    manifest = {key: value for key, value in bundle.manifest.items() if key != "files"}
    return {
        "bundle": str(bundle.path),
        "bytes": bundle.size_bytes,
        "content_bytes": bundle.content_bytes,
        "manifest": manifest,
    }


def _line(bundle: Bundle) -> str:
    runtime, target = bundle.manifest["runtime"], bundle.manifest["target"]
    glibc = ".".join(map(str, target["glibc"]))
    return (
        f"{bundle.path}: {units.size(bundle.size_bytes)}, {runtime['name']} {runtime['version']} "
        f"for {target['machine']} {target['cpu']}, glibc {glibc} or newer"
    )
