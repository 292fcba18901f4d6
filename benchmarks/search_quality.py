"""How good searches are: hypervolume against the number of measurements, on tables of what was all measured.

    python benchmarks/search_quality.py vit.csv resnet.csv                     # tables of record_table.py
    python benchmarks/search_quality.py vit.csv --budget 120 --seeds 10 --strategy guided --strategy nsga2
    python benchmarks/search_quality.py vit.csv --constraint "latency<=1ms"

Every search asks for the same number of candidates in the same batches, and is told what the table says; `--jobs`
searches run at once. Hypervolumes are shares of that of the whole table; its box reaches a tenth beyond the worst
values. `share_of_nsga2` is how many measurements the mean of the guided searches needs to reach the mean of NSGA-II's
final hypervolumes, as a share of the budget. The last line is JSON: each table under its name, and the means of all at
the top.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hwloop.cli.progress import counted
from hwloop.search.genome import Genome
from hwloop.search.goals import Box, Goal, front, hypervolume
from hwloop.search.recorded import RecordedTable
from hwloop.search.strategies.base import Result
from hwloop.search.strategies.registry import DEFAULT, load_strategy

NAMES = ("random", "evolutionary", "nsga2", "linas", DEFAULT)
SHOWN_AT = (30, 60, 120)
GUIDED, YARDSTICK = DEFAULT, "nsga2"


@dataclass(frozen=True)
class Case:
    """A table, what is wanted of it, and the candidates that can be asked for."""

    table: RecordedTable
    genome: Genome
    goal: Goal
    box: Box
    whole: float  # the hypervolume of the table


def main() -> None:
    """Run the benchmark, print a table for each file, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="CSV files of record_table.py")
    parser.add_argument("--strategy", action="append", choices=NAMES, help="repeatable; all if none")
    parser.add_argument("--objectives", default="accuracy,latency,size")
    parser.add_argument("--constraint", action="append", default=[], help="repeatable")
    parser.add_argument("--budget", type=int, default=120, help="measurements a search")
    parser.add_argument("--batch", type=int, default=2, help="candidates asked for at once")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="searches at a time; one for each processor")
    options = parser.parse_args()
    names = options.strategy or list(NAMES)
    goal = Goal.parse(options.objectives, options.constraint)
    found = {}
    for path in options.tables:
        case = load_case(path, goal)
        with counted(path.name, len(names) * options.seeds) as done:
            curves = all_searches(path, goal, names, options, done)
        found[path.stem] = figures(case, curves, options)
        show(path.name, found[path.stem])
    keys = [key for key in next(iter(found.values())) if key.startswith(("share_of", "hypervolume_"))]
    means = {key: round(statistics.fmean(case[key] for case in found.values()), 4) for key in keys}
    print(json.dumps({**found, **means}))


@cache
def load_case(path: Path, goal: Goal) -> Case:
    """Return a table with its genome; candidates that are missing from the file count as failed."""
    table = RecordedTable.read(path)
    results = list(table.results.values())
    box = Box.around(goal, results)
    return Case(table, table.recipe.genome(), goal, box, hypervolume(goal, results, box))


def all_searches(
    path: Path, goal: Goal, names: Sequence[str], options: argparse.Namespace, done: Callable[[int], None]
) -> dict[str, dict[str, Any]]:
    """Return, for each strategy, the hypervolume after each batch [seeds, batches] and the longest time it thought."""
    pairs = [(name, seed) for name in names for seed in range(options.seeds)]
    searches = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        found = pool.map(partial(searched, path, goal, options.budget, options.batch), *zip(*pairs, strict=True))
        for number, (pair, search) in enumerate(zip(pairs, found, strict=True), 1):
            searches[pair] = search
            done(number)
    return {
        name: {
            "curves": np.array([searches[name, seed][0] for seed in range(options.seeds)]),
            "seconds": max(searches[name, seed][1] for seed in range(options.seeds)),
        }
        for name in names
    }


def searched(path: Path, goal: Goal, budget: int, batch: int, name: str, seed: int) -> tuple[list[float], float]:
    """Return the hypervolume after each batch of one search, and the processor seconds of its longest round."""
    case = load_case(path, goal)  # once a process: a genome cannot be sent to one
    strategy = load_strategy(name, case.genome, case.goal, seed)
    results: list[Result] = []
    curve, seconds = [], 0.0
    while len(results) < budget:
        start = time.process_time()
        asked = strategy.ask(min(batch, budget - len(results)))
        told = [case.table.results.get(candidate, Result(candidate, None)) for candidate in asked]
        strategy.tell(told)
        seconds = max(seconds, time.process_time() - start)
        results += told
        curve.append(hypervolume(case.goal, results, case.box) / case.whole)
        if not asked:
            break
    return curve, seconds


def figures(case: Case, searches: dict[str, dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one table."""
    found: dict[str, Any] = {
        "candidates": len(case.table.results),
        "front": len(front(case.goal, list(case.table.results.values()))),
        "seeds": options.seeds,
    }
    at = [count for count in SHOWN_AT if count <= options.budget] or [options.budget]
    for name, search in searches.items():
        curves = search["curves"]
        after = {count: curves[:, min(-(-count // options.batch), curves.shape[1]) - 1] for count in at}
        found[name] = {
            "hypervolume": {str(count): round(float(volumes.mean()), 4) for count, volumes in after.items()},
            "deviation": {str(count): round(float(volumes.std()), 4) for count, volumes in after.items()},
            "longest_round_s": round(search["seconds"], 2),
        }
        found[f"hypervolume_{name}"] = round(float(curves[:, -1].mean()), 4)
    if GUIDED in searches:
        for other in searches:
            if other != GUIDED:
                needed = needed_for(searches[GUIDED]["curves"], searches[other]["curves"], options)
                found[f"share_of_{other}"] = round(needed / options.budget, 4)
    return found


def needed_for(curves: np.ndarray, others: np.ndarray, options: argparse.Namespace) -> int:
    """Return the measurements with which the mean of curves reaches the end of the others' mean; budget + 1 if none."""
    reached = np.flatnonzero(curves.mean(axis=0) >= others[:, -1].mean())
    return min((int(reached[0]) + 1) * options.batch, options.budget) if len(reached) else options.budget + 1


def show(title: str, found: dict[str, Any]) -> None:
    """Print a table with a line for each strategy."""
    at: Sequence[str] = next(list(one["hypervolume"]) for one in found.values() if isinstance(one, dict))
    head = f"{title}: {found['candidates']} candidates, {found['front']} on the front"
    table = Table("strategy", *(f"after {count}" for count in at), "guided needs", "longest round s", title=head)
    for name, one in found.items():
        if isinstance(one, dict):
            shares = [f"{one['hypervolume'][count]:.4f} ±{one['deviation'][count]:.4f}" for count in at]
            needs = f"{found[f'share_of_{name}']:.0%}" if f"share_of_{name}" in found else ""
            table.add_row(name, *shares, needs, f"{one['longest_round_s']:.2f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
