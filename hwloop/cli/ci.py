"""`hwloop ci`: a checked-in plan, held up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.carrying import devices_by_hand
from hwloop.cli.models import Asked, workloads_for
from hwloop.cli.output import BAD_RESULT, DEVICE_FAILED, print_json, say
from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.ci.cases import Case
    from hwloop.ci.plan import Check, Plan
    from hwloop.ci.run import Checking
    from hwloop.devices.fleet import Device, Fleet

USUAL_PLAN = Path("hwloop.ci.yaml")
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
INTERRUPTED = 130


def ci(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan's file.")] = USUAL_PLAN,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", "-d", help="Only what the plan has for this device or tag; repeatable."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE.xml", help="Write JUnit XML.")] = None,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Write a summary; $GITHUB_STEP_SUMMARY gets it too, where it is set."),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the baseline anew, of what passes all else.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what the store has.")] = False,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Hold models to their budgets: outputs, instructions or times, sizes, memory, and a stored baseline.

    On emulated devices counts decide; on real ones the baseline's artifact and the new one are compared in turns, and
    a slowdown counts that the whole interval shows.

    Exit code: 0 all is within its budget; 1 something is not; 2 wrong usage or plan; 3 a device failed.

    \b
    Examples:
      hwloop ci
      hwloop ci hwloop.ci.yaml -d emulated --junit results.xml --summary summary.md
      hwloop ci --update-baseline
    """
    from hwloop.ci.baseline import read_baseline, write_baseline
    from hwloop.ci.plan_file import read_plan
    from hwloop.ci.run import Checking, updated
    from hwloop.cli.progress import Progress
    from hwloop.devices.fleet import load_fleet
    from hwloop.paths import store_path
    from hwloop.store import Store

    found = read_plan(plan)
    chosen = chosen_devices(found, load_fleet(devices_file), device or [])
    baseline_file = plan.parent / found.baseline
    baseline = read_baseline(baseline_file)
    with Store.open(store_path()) as store, Progress() as progress:
        checking = Checking(store, baseline, progress, fresh, against_baseline=not update_baseline)
        cases: list[Case] = []
        for name, check in found.checks.items():
            if chosen[name] and not checking.interrupted:
                cases += _run(checking, name, check, plan.parent, chosen[name])
    if checking.interrupted:
        say("Stopped. What was measured is kept; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED)
    _report(cases, junit, summary)
    if update_baseline:
        entries = updated(baseline, cases, whole=not device)
        write_baseline(baseline_file, entries)
        say(f"{baseline_file}: {len(entries)} cases")
    if as_json:
        print_json(
            {"passed": all(case.result == "passed" for case in cases), "cases": [one.as_json() for one in cases]}
        )
    else:
        _print_cases(cases)
    failed = any(case.failed for case in cases)
    raise typer.Exit(DEVICE_FAILED if checking.device_errors else BAD_RESULT if failed else 0)


def chosen_devices(plan: Plan, fleet: Fleet, wanted: Sequence[str]) -> dict[str, list[Device]]:
    """Return the devices of each check, out of those that are wanted.

    Raises:
        UsageError: there is no such device, jobs are carried to it, or the plan has nothing for those wanted.
    """
    only = [device.name for device in fleet.select(wanted)]
    chosen = {
        name: [device for device in fleet.select(check.devices) if device.name in only]
        for name, check in plan.checks.items()
    }
    by_hand = devices_by_hand([device for devices in chosen.values() for device in devices], None)
    if by_hand:
        raise UsageError(
            f"{by_hand[0].name} is reached by hand, and nobody carries jobs for `hwloop ci`",
            remedy="Leave it out of the plan, or name others with -d.",
        )
    if not any(chosen.values()):
        raise UsageError(f"the plan has nothing for {', '.join(wanted)}", remedy="Name a device or tag that it has.")
    return chosen


def _run(checking: Checking, name: str, check: Check, folder: Path, devices: Sequence[Device]) -> list[Case]:
    from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
    from hwloop.exporter.runtimes.tvm import Tvm

    known = {"onnxruntime": OnnxRuntime, "tvm": Tvm}
    asked = Asked([_word(word, folder) for word in check.models], policy=check.policy)
    with workloads_for(asked, dict(check.shapes), {}) as (workloads, _):
        return checking.run(name, check, workloads, devices, [known[runtime]() for runtime in check.runtimes])


def _word(word: str, folder: Path) -> str:
    """Return a model's word; files stand relative to the plan's folder."""
    return word if "@" in word and not (folder / word).exists() else str(folder / word)


def _report(cases: Sequence[Case], junit_file: Path | None, summary_file: Path | None) -> None:
    from hwloop.ci import reports

    text = reports.summary(cases)
    step = os.environ.get(SUMMARY_VARIABLE)
    files = [(junit_file, "w", reports.junit), (summary_file, "w", None), (Path(step) if step else None, "a", None)]
    for path, mode, make in files:
        if path is None:
            continue
        try:
            with path.open(mode, encoding="utf-8") as file:
                file.write(make(cases) if make else text)
        except OSError as error:
            raise UsageError(f"{path}: it cannot be written ({error.strerror})") from error


def _print_cases(cases: Sequence[Case]) -> None:
    """Print a line for each case, and below it what is wrong or cannot be looked at; --json has everything."""
    from hwloop.ci.cases import Status
    from hwloop.ci.reports import per_call, title

    for case in cases:
        typer.echo(f"{case.result:<6}  {case.name}  {per_call(case)}".rstrip())
        if case.error:
            typer.echo(f"        {case.error}")
        for one in case.findings:
            if one.status is not Status.PASSED or one.what == "baseline":
                typer.echo(f"        {one.what} {one.status.value}: {one.words}")
    typer.echo(title(cases))
