"""What `hwloop search` prints: the front as measured again, beside what was predicted; or what came closest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hwloop.cli import units
from hwloop.cli.output import print_json
from hwloop.search.goals import ACCURACY, LATENCY, SIZE

if TYPE_CHECKING:
    from rich.table import Table

    from hwloop.records.search import Trial
    from hwloop.search.loop.final import Final
    from hwloop.search.loop.job import SearchJob
    from hwloop.search.loop.run import Found


def show_found(job: SearchJob, found: Found, page: Path) -> None:
    """Print the front as a table, or what came closest."""
    from rich.console import Console

    if found.front:
        Console(width=None if sys.stdout.isatty() else 140).print(front_table(job, found))
        if share := within_ten_percent(found):
            typer.echo(f"{share[0]} of {share[1]} predicted latencies of the front are within 10 % of the measured.")
    else:
        typer.echo(infeasible_line(job, found))
    failed = sum(trial.values is None for trial in found.trials)
    useless = f", {failed} of no use" if failed else ""
    typer.echo(f"{len(found.trials)} candidates tried{useless}. Search {found.search_id}, page {page}.")


def front_table(job: SearchJob, found: Found) -> Table:
    """Return a table of the front, in the order of the first objective."""
    from rich.table import Table

    table = Table("candidate", "quantization", box=None, pad_edge=False, header_style="bold")
    keys = shown_keys(job)
    for key in keys:
        table.add_column(title_of(job, key), justify="right")
        if key.startswith(LATENCY):
            table.add_column("predicted", justify="right")
    first = job.goal.objectives[0]
    for final in sorted(found.front, key=lambda one: _searched(one, first.key), reverse=first.maximised):
        cells: list[str] = []
        for key in keys:
            values = final.again.values
            cells.append(value_text(job, key, values[key]) if values else "-")
            if key.startswith(LATENCY):
                told = final.predicted.get(key)
                cells.append(value_text(job, key, told.mean) if told else "-")
        label = final.candidate.digest[:8] + ("" if final.keeps else " !")
        table.add_row(label, policy_words(final.candidate.policy.as_json()), *cells)
    if not all(final.keeps for final in found.front):
        table.caption = "! breaks a constraint, or was of no use, when it was measured again"
    return table


def infeasible_line(job: SearchJob, found: Found) -> str:
    """Return that nothing keeps the constraints, and what comes closest."""
    wanted = " and ".join(constraint_text(job, one.key, one.limit, one.at_most) for one in job.goal.constraints)
    if found.closest is None or found.closest.values is None:
        why = next((trial.failure for trial in found.trials if trial.failure), "")
        return f"No candidate could be measured: {why}"
    values = found.closest.values
    figures = ", ".join(f"{title_of(job, key)} {value_text(job, key, values[key])}" for key in shown_keys(job))
    name = found.closest.candidate.digest[:8]
    return f"infeasible: nothing that was tried has {wanted}; the closest is {name} with {figures}"


def within_ten_percent(found: Found) -> tuple[int, int] | None:
    """Return how many predicted latencies are within 10 % of the measured ones, and how many there are."""
    errors = found.prediction_errors
    return (sum(error <= 0.1 for error in errors), len(errors)) if errors else None


def found_item(job: SearchJob, found: Found, page: Path) -> dict[str, object]:
    """Return what `--json` prints of a search."""
    from hwloop.search.loop.run import outcome_json

    share = within_ten_percent(found)
    return {
        "search_id": found.search_id,
        "devices": [device.name for device in job.devices],
        "runtime": job.runtime.name,
        "page": str(page),
        "tried": len(found.trials),
        "failed": sum(trial.values is None for trial in found.trials),
        "predicted_within_10_percent": 100 * share[0] / share[1] if share else None,
        **outcome_json(found),
        "trials": [trial.as_json() for trial in found.trials],
    }


def search_list(*, as_json: bool) -> None:
    """Print the searches in the store, newest first."""
    from hwloop.paths import store_path
    from hwloop.store import Store
    from hwloop.store.searches import Searches

    with Store.open(store_path()) as store:
        searches = Searches(store).all()
    if as_json:
        print_json(
            [
                {
                    "search_id": one.id,
                    "created_at": one.created_at,
                    "finished": one.outcome is not None,
                    "tried": len(one.trials),
                    "request": dict(one.request),
                }
                for one in searches
            ]
        )
        return
    for one in searches:
        request = one.request
        devices, tried = ", ".join(request["devices"]), f"{len(one.trials)} of {request['budget']} tried"
        state = "finished" if one.outcome is not None else "not finished"
        typer.echo(f"{one.id[:12]}  {request['space']} on {devices} with {request['runtime']}: {tried}, {state}")
    if not searches:
        typer.echo("No search is in the store. Example: hwloop search vit-mini --objectives latency,size -d local")


def shown_keys(job: SearchJob) -> list[str]:
    """Return what is known of every candidate, objectives first."""
    latencies = [job.latency_key(device) for device in job.devices]
    return list(dict.fromkeys([*job.goal.keys, *latencies, SIZE]))


def title_of(job: SearchJob, key: str) -> str:
    """Return a value's name with its unit, as the head of a column."""
    if key.startswith(LATENCY):
        unit = "instructions" if is_counted(job, key) else "ms"
        return f"{key} {unit}"
    return key


def is_counted(job: SearchJob, key: str) -> bool:
    """Return whether a latency is one of an emulated device, which counts instructions."""
    _, at, name = key.partition("@")
    return any(device.emulated for device in job.devices if not at or device.name == name)


def value_text(job: SearchJob, key: str, value: float) -> str:
    """Return a value as text; its unit stands in the column's head, or is its own."""
    if key == ACCURACY:
        return f"{value:.2%}"
    if key == SIZE:
        return units.size(round(value))
    return units.count(value) if is_counted(job, key) else units.milliseconds(value)


def constraint_text(job: SearchJob, key: str, limit: float, at_most: bool) -> str:
    """Return a constraint in words."""
    return f"{title_of(job, key)} {'<=' if at_most else '>='} {value_text(job, key, limit)}"


def policy_words(policy: dict[str, str]) -> str:
    """Return how many blocks have each scheme that is not fp32."""
    counts: dict[str, int] = {}
    for scheme in policy.values():
        counts[scheme] = counts.get(scheme, 0) + 1
    return ", ".join(f"{count} {scheme}" for scheme, count in sorted(counts.items())) or "fp32"


def _searched(final: Final, key: str) -> float:
    trial: Trial = final.searched
    return trial.values[key] if trial.values else 0.0
