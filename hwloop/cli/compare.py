"""`hwloop compare`: two models, or two measurements, side by side on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.comparison_view import as_item, lines
from hwloop.cli.models import candidate_files
from hwloop.cli.options import Care, parse_shapes, refuse_strange_runtimes
from hwloop.cli.output import BAD_RESULT, print_json, say
from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.devices.fleet import Device
    from hwloop.exporter.runtimes.base import Runtime
    from hwloop.records.comparison import Comparison, ComparisonProtocol


def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="The baseline: an ONNX file, a candidate, or a measurement's id.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What is compared with it.")],
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="The device; needed where the fleet has several.")
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", "-r", help="onnxruntime or tvm; given twice: A's and B's. [default: onnxruntime]"),
    ] = None,
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="The size of a symbolic dimension.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to measure, once all is in place.")] = 30.0,
    max_slowdown: Annotated[
        str, typer.Option(metavar="PERCENT", help="Exit with 1 if B is shown to be slower than A by more than this.")
    ] = "0%",
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of the runtime.")] = 1,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds after which a process is killed.")] = 120.0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for a device that others measure on.")] = True,
    patience: Annotated[float, typer.Option(min=0.0, help="Seconds that a device may fail without progress.")] = 900.0,
    seed: Annotated[int, typer.Option(min=0, help="Of made-up inputs and of the order of turns.")] = 0,
    despite_quarantine: Annotated[
        bool, typer.Option("--despite-quarantine", help="Use a device that failed too often, too.")
    ] = False,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say which of two is faster on a device, by how much, and how sure that is.

    Fresh processes of A, of B and of A once more (the control) take turns on the same processors, there and back, in
    many sets. The ratio comes with its 99 % interval; the control gives the noise floor, below which no difference is
    claimed. On an emulated device instructions are compared.

    Exit code: 0 B is not shown to be slower; 1 B is slower beyond --max-slowdown, or its outputs are wrong; 2 wrong
    usage or input; 3 the device failed.

    \b
    Examples:
      hwloop compare old.onnx new.onnx -d local
      hwloop compare model.onnx model.onnx -r onnxruntime -r tvm -d kitchen-pi
      hwloop compare vit-mini@largest vit-mini@7 -d local
      hwloop compare 0192f3a1 0192f3b7 --max-slowdown 2% --json
    """
    from hwloop.compare.judge import is_regression

    most_slowdown = _share(max_slowdown)
    names = _runtime_names(runtime or [])
    care = Care(wait, patience, despite_quarantine)
    comparison = _run([a, b], names, device, shape or [], seconds, threads, deadline, seed, care, devices_file)
    regression = is_regression(comparison.judgement, most_slowdown)
    if as_json:
        print_json(as_item(comparison, most_slowdown, regression))
    else:
        typer.echo("\n".join(lines(comparison, most_slowdown, regression)))
    wrong = any(reason.startswith("outputs differ") for reason in comparison.judgement.reasons)
    raise typer.Exit(BAD_RESULT if regression or wrong else 0)


def _run(
    words: list[str],
    names: list[str],
    device_name: str | None,
    shapes: list[str],
    seconds: float,
    threads: int,
    deadline_s: float,
    seed: int,
    care: Care,
    devices_file: Path | None,
) -> Comparison:
    from hwloop.compare.attempts import compare, protocol_for
    from hwloop.compare.contenders import find_contenders
    from hwloop.devices.fleet import load_fleet
    from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
    from hwloop.exporter.runtimes.tvm import Tvm
    from hwloop.paths import store_path
    from hwloop.store import Store

    sizes = parse_shapes(shapes)
    chosen = one_device(load_fleet(devices_file).select([device_name] if device_name else []))
    protocol = protocol_for(chosen, seconds, threads=threads, seed=seed, process_deadline_s=deadline_s)
    runtimes: dict[str, Runtime] = {"onnxruntime": OnnxRuntime(), "tvm": Tvm()}
    with candidate_files(words, sizes, seed) as (exported, others), Store.open(store_path()) as store:
        contenders = find_contenders(words, others, names, runtimes, store, seed, exported=exported)
        with _bar(protocol) as progressed:
            return compare(
                contenders,
                chosen,
                protocol,
                store,
                say,
                progressed,
                wait=care.wait,
                patience_s=care.patience_s,
                despite_quarantine=care.despite_quarantine,
            )


@contextmanager
def _bar(protocol: ComparisonProtocol) -> Iterator[Callable[[int, int], None]]:
    """Show how many sets are done, where standard error is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("comparing"), BarColumn(bar_width=30), TextColumn("{task.completed} of {task.total} sets"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=protocol.sets)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _share(text: str) -> float:
    """Return a percentage as a share."""
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < float("inf"):
        raise UsageError(f"--max-slowdown {text}: this is no percentage of 0 or more, as in 2%")
    return share


def _runtime_names(given: Sequence[str]) -> list[str]:
    """Return A's and B's runtime."""
    refuse_strange_runtimes(given)
    if len(given) > 2:
        raise UsageError("-r stands at most twice: for A and for B")
    return [*given, *given][:2] if given else ["onnxruntime", "onnxruntime"]


def one_device(chosen: Sequence[Device]) -> Device:
    """Return the one device of a selection.

    Raises:
        UsageError: there are several.
    """
    if len(chosen) != 1:
        raise UsageError(
            "this takes one device, and several are named",
            remedy=f"Name one with -d: {', '.join(device.name for device in chosen)}.",
        )
    return chosen[0]
