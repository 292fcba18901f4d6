"""`hwloop profile`: where the time of a call goes, kernel by kernel."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.compare import one_device
from hwloop.cli.models import MODEL_HELP, POLICY_HELP, Asked, workloads_for
from hwloop.cli.options import Care, installed_runtimes, parse_shapes, refuse_strange_runtimes
from hwloop.cli.output import BAD_RESULT, print_json, say

if TYPE_CHECKING:
    from rich.table import Table

    from hwloop.profile.run import Found
    from hwloop.records import StoredProfile

SHOWN, SHOWN_KINDS = 15, 6


def profile(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help=MODEL_HELP, show_default=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="The device; needed where the fleet has several.")
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", "-r", help="onnxruntime or tvm; all that are installed if none is named."),
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="The size of a symbolic dimension.")
    ] = None,
    calls: Annotated[int, typer.Option(min=1, max=10_000, help="Calls that are looked at.")] = 50,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of the runtime.")] = 1,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds after which a process is killed.")] = 120.0,
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Profile samples of this space, too.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many samples of the space.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(metavar="[LAYER=]SCHEME", help=POLICY_HELP)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, weights and made-up inputs.")] = 0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for a device that others measure on.")] = True,
    patience: Annotated[float, typer.Option(min=0.0, help="Seconds that a device may fail without progress.")] = 900.0,
    despite_quarantine: Annotated[
        bool, typer.Option("--despite-quarantine", help="Use a device that failed too often, too.")
    ] = False,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what each kernel of a model costs on a device, and keep it for `hwloop report`.

    ONNX Runtime's nodes are timed by its own profiler, TVM's kernels around each call; on an emulated device TVM's
    kernels are counted in instructions. Whole calls without the profiler stand beside the sum.

    Exit code: 0 done; 1 a model fails with a runtime; 2 wrong usage or input; 3 the device failed.

    \b
    Examples:
      hwloop profile model.onnx -d local
      hwloop profile model.onnx -d kitchen-pi -r onnxruntime -r tvm --calls 200
      hwloop profile vit-mini@largest -d pi4 -r tvm --json
    """
    refuse_strange_runtimes(runtime or [])
    asked = Asked(models or [], space, sample, policy or [], seed=seed)
    care = Care(wait, patience, despite_quarantine)
    names = runtime or installed_runtimes()
    found = _run(asked, parse_shapes(shape or []), device, names, calls, threads, deadline, care, devices_file)
    failed = _print(found, as_json=as_json)
    raise typer.Exit(BAD_RESULT if failed else 0)


def _run(
    asked: Asked,
    sizes: dict[str, int],
    device: str | None,
    names: list[str],
    calls: int,
    threads: int,
    deadline_s: float,
    care: Care,
    devices_file: Path | None,
) -> list[Found]:
    from hwloop.devices.fleet import load_fleet
    from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
    from hwloop.exporter.runtimes.tvm import Tvm
    from hwloop.paths import store_path
    from hwloop.profile.run import ProfileJob, profile
    from hwloop.store import Store

    chosen = one_device(load_fleet(devices_file).select([device] if device else []))
    known = {"onnxruntime": OnnxRuntime, "tvm": Tvm}
    runtimes = [known[name]() for name in dict.fromkeys(names) if name in chosen.settings.runtimes]
    if not runtimes:
        chosen.require_runtime(names[0])
    with workloads_for(asked, sizes, {}) as (workloads, _), Store.open(store_path()) as store:
        job = ProfileJob(
            workloads,
            chosen,
            runtimes,
            calls,
            threads,
            deadline_s,
            care.wait,
            care.patience_s,
            care.despite_quarantine,
        )
        return profile(job, store, say)


def _print(found: list[Found], *, as_json: bool) -> bool:
    """Print what was found; return whether something failed."""
    from hwloop.records import StoredProfile

    profiles = [one for one in found if isinstance(one, StoredProfile)]
    failed = [one for one in found if not isinstance(one, StoredProfile)]
    if as_json:
        done = [{"profile_id": one.id, "created_at": one.created_at, **one.profile.as_json()} for one in profiles]
        print_json({"profiles": done, "failures": [asdict(one) for one in failed]})
        return bool(failed)
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120)
    for one in profiles:
        for shown in _shown(one):
            console.print(shown)
    for bad in failed:
        typer.echo(f"FAILED {bad.model} with {bad.runtime}: {bad.failure.kind.value}: {bad.failure.message}")
    return bool(failed)


def _shown(stored: StoredProfile) -> list[str | Table]:
    """Return what is printed of a profile: a line, its kernels, a line."""
    from rich.table import Table

    from hwloop.cli import units

    one = stored.profile
    shown = units.milliseconds if one.unit == "ms" else units.count
    title = f"{one.model} on {one.device} with {one.runtime}: {shown(one.total)} {one.unit} in kernels of a call"
    table = Table("kernel", "kind", box=None, pad_edge=False)
    for heading in ("times", one.unit, "share"):
        table.add_column(heading, justify="right")
    for kernel in one.kernels[:SHOWN]:
        share = f"{kernel.cost / one.total:.1%}" if one.total else "-"
        table.add_row(kernel.name, kernel.kind, f"{kernel.runs:g}", shown(kernel.cost), share)
    rest = one.kernels[SHOWN:]
    if rest:
        others = sum(kernel.cost for kernel in rest)
        table.add_row(f"{len(rest)} more", "", "", shown(others), f"{others / one.total:.1%}" if one.total else "-")
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in list(one.kinds.items())[:SHOWN_KINDS])
    return [title, table, f"By kind: {kinds}.", f"A call takes {shown(one.call)} {one.unit} without the profiler.\n"]
