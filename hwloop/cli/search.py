"""`hwloop search`: the networks of a space that meet what is wanted on a device, found by measuring."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.models import WEIGHTS_HELP
from hwloop.cli.options import parse_shapes, refuse_strange_runtimes
from hwloop.cli.output import BAD_RESULT, print_json, say
from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.cli.progress import Progress
    from hwloop.devices.fleet import Device
    from hwloop.search.goals import Goal
    from hwloop.search.loop.job import SearchJob
    from hwloop.search.loop.run import Found, Round


def search(
    space: Annotated[
        str | None, typer.Argument(metavar="SPACE", help="A space's name, bert:FILE.safetensors, FILE.py:NAME.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="What accuracy is for: digits, fashion-mnist, reviews, ... or FILE.py:NAME.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", "-d", help="A device or a tag; repeatable. A front for each.")
    ] = None,
    runtime: Annotated[str, typer.Option("--runtime", "-r", help="onnxruntime or tvm.")] = "onnxruntime",
    objectives: Annotated[
        str, typer.Option(help="What shall be good, separated by commas: accuracy, latency, size.")
    ] = "accuracy,latency",
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT<=LIMIT", help="latency<=5ms, accuracy>=90%, size<=2MB; repeatable."),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="How many candidates are measured for a front.")] = 100,
    batch: Annotated[int, typer.Option(min=1, help="Candidates proposed and measured at a time.")] = 2,
    strategy: Annotated[str, typer.Option(help="guided, linas, nsga2, evolutionary or random.")] = "guided",
    weights: Annotated[str, typer.Option(help=WEIGHTS_HELP)] = "random",
    schemes: Annotated[
        str, typer.Option(help="Quantization schemes to choose from, separated by commas.")
    ] = "fp32,int8-dynamic,int8-static",
    granularity: Annotated[str, typer.Option(help="What has a scheme of its own: layer, block or model.")] = "block",
    fix: Annotated[
        list[str] | None,
        typer.Option(metavar="CHOICE=VALUE,...", help="Leave a choice these values alone; repeatable."),
    ] = None,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Rank by the first so many examples; the front is judged on all of them.")
    ] = None,
    one_for_all: Annotated[
        bool, typer.Option("--one-for-all", help="With several devices: one network for all, not a front for each.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of the runtime.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.01, help="Most seconds of timed calls a measurement takes.")] = 2.0,
    width: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="End a measurement once the median's 95 % interval is this share of it."),
    ] = 0.02,
    processes: Annotated[int, typer.Option(min=1, max=100, help="Fresh processes of a measurement, at least.")] = 3,
    shape: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SIZE", help="A size: batch, length, resolution or steps.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and measurements give the same search.")] = 0,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="The page to write; search-SPACE-DEVICE.html if none.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.json", help="Write the front's candidates there.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the searches in the store, and end.")] = False,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Search a space for networks, and how to quantize them, by what they do on a device.

    A strategy proposes candidates: architectures with a quantization scheme for each block. They are exported, judged
    on the task as the runtime runs them, and measured on the device, batch after batch, until the budget is spent. The
    best of them are measured once more and judged on all data, beside what a predictor says that never saw them.

    What was measured is in the store at once: after Ctrl-C, a crash or a lost device the same command goes on.

    Exit code: 0 done; 1 nothing keeps the constraints (the closest is named); 2 wrong usage or input; 3 a device
    failed.

    \b
    Examples:
      hwloop search vit-mini --task fashion-mnist --weights vit.safetensors -d local --budget 100
      hwloop search resnet-mini --task digits --weights r.safetensors -d pi4 --constraint "latency<=2e6" -r tvm
      hwloop search vit-mini --objectives latency,size -d local -d pi4 --one-for-all --budget 40
      hwloop search --list
    """
    from hwloop.cli.search_view import found_item, search_list

    if listing:
        search_list(as_json=as_json)
        return
    if space is None:
        raise UsageError("no space is named", remedy="`hwloop spaces list` shows them.")
    refuse_strange_runtimes([runtime])
    from hwloop.devices.fleet import load_fleet
    from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
    from hwloop.exporter.runtimes.tvm import Tvm
    from hwloop.records import TimingProtocol
    from hwloop.search.loop.job import SearchJob, parse_choices, parse_schemes

    chosen = load_fleet(devices_file).select_reached(device or [])
    protocol = TimingProtocol(processes=processes, seconds=seconds, relative_width=width, threads=threads, seed=seed)
    jobs = [
        SearchJob(
            space=space,
            goal=_goal(objectives, constraint or [], group),
            devices=tuple(group),
            runtime=OnnxRuntime() if runtime == "onnxruntime" else Tvm(),
            task=task,
            budget=budget,
            batch=batch,
            strategy=strategy,
            seed=seed,
            protocol=protocol,
            weights=weights,
            sizes=parse_shapes(shape or []),
            examples=examples,
            schemes=parse_schemes(schemes),
            granularity=granularity,
            restricted=parse_choices(fix or []),
        )
        for group in ([chosen] if one_for_all else [[one] for one in chosen])
    ]
    if page and len(jobs) > 1:
        raise UsageError("--page is one file, and there is a page for each device", remedy="Leave it out.")
    pages = [page or _page_of(job) for job in jobs]
    _refuse_unwritable([*pages, *([output] if output else [])])
    found = [_run(job, each, as_json=as_json) for job, each in zip(jobs, pages, strict=True)]
    if output:
        _write_front(output, [each for each, _ in found])
    if as_json:
        items = [found_item(job, each, written) for job, (each, written) in zip(jobs, found, strict=True)]
        print_json(items[0] if len(items) == 1 else items)
    raise typer.Exit(0 if all(each.front for each, _ in found) else BAD_RESULT)


def _goal(objectives: str, constraints: list[str], devices: list[Device]) -> Goal:
    """Return what is wanted; of several devices at once, `latency` is that of each."""
    from hwloop.search.goals import LATENCY, Constraint, Goal, Objective, parse_objectives

    goal = Goal(parse_objectives(objectives), tuple(Constraint.parse(text) for text in constraints))
    if len(devices) == 1:
        return goal
    names = [device.name for device in devices]
    wanted: list[Objective] = []
    for one in goal.objectives:
        wanted += [Objective(LATENCY, name) for name in names] if one.key == LATENCY else [one]
    limits: list[Constraint] = []
    for limit in goal.constraints:
        limits += [replace(limit, key=f"{LATENCY}@{name}") for name in names] if limit.key == LATENCY else [limit]
    return Goal(tuple(wanted), tuple(limits))


def _run(job: SearchJob, page: Path, *, as_json: bool) -> tuple[Found, Path]:
    """Run a search, show what it found, and write its page."""
    from hwloop.cli.search_page import page_of
    from hwloop.cli.search_view import show_found
    from hwloop.paths import store_path
    from hwloop.report.search_page import write_search_page
    from hwloop.search.loop.bench import Bench
    from hwloop.search.loop.run import search as run_search
    from hwloop.store import Store

    names = "-".join(device.name for device in job.devices)
    say(f"Searching {job.space} for {names} with {job.runtime.name}: {job.genome.count():.3g} candidates.")
    try:
        with Store.open(store_path()) as store:
            bench = Bench(job, store, _watching)
            found = run_search(job, bench, store, _tell)
    except KeyboardInterrupt:
        say("What was measured is kept; the same command goes on from there.")
        raise
    write_search_page(page, page_of(job, found))
    if not as_json:
        show_found(job, found, page)
    return found, page


def _watching() -> Progress:
    from hwloop.cli.progress import Progress

    return Progress()


def _tell(found: Round) -> None:
    failed = f", {found.failed} of no use" if found.failed else ""
    say(f"{found.trials} candidates tried{failed}; {found.front} on the front")


def _write_front(path: Path, found: list[Found]) -> None:
    """Write the candidates of all fronts, in the form that other commands read."""
    candidates = {final.candidate: None for each in found for final in each.front}
    path.write_text(json.dumps([candidate.as_json() for candidate in candidates], indent=2) + "\n")


def _refuse_unwritable(paths: list[Path]) -> None:
    """Raise UsageError for a file that could not be written in the end, before hours of searching."""
    for path in paths:
        folder = path.parent
        if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
            raise UsageError(f"{path}: no file can be written there", remedy="Name one in a folder of yours.")


def _page_of(job: SearchJob) -> Path:
    names = "-".join(device.name for device in job.devices)
    return Path(f"search-{Path(job.space).stem}-{names}.html")
