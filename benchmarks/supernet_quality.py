"""Whether a supernet ranks its subnets as training each of them alone does.

    python benchmarks/supernet_quality.py --space vit-mini --task fashion-mnist --steps 3000
    python benchmarks/supernet_quality.py --space resnet-mini --task fashion-mnist --subnets 10 --folder checkpoints

Trains a supernet by each of `--sampling` (sandwich: the largest teaches the smallest and random ones; uniform: random
ones learn from the labels), then `--subnets` subnets, spread over the sizes, alone for as many steps, on a GPU if there
is one. Kendall's rank correlation is between the accuracies that subnets inherit and those that they reach alone, on
all examples for evaluation. `--folder` keeps the supernets' checkpoints. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau

from hwloop.records import Arch
from hwloop.search.checkpoints import save_checkpoint
from hwloop.search.costs import arch_costs
from hwloop.search.judging import subnet_accuracy
from hwloop.search.sampling import sample_by_complexity
from hwloop.search.spaces.base import Space, Supernet
from hwloop.search.spaces.registry import load_space
from hwloop.search.tasks.base import Data, Task
from hwloop.search.tasks.registry import load_task
from hwloop.search.training.recipe import Recipe
from hwloop.search.training.run import inputs_of
from hwloop.search.training.trainer import Trainer


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--sampling", nargs="+", default=["sandwich", "uniform"])
    parser.add_argument("--subnets", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to keep the supernets' checkpoints")
    options = parser.parse_args()
    space, task = load_space(options.space), load_task(options.task)
    data = task.data(inputs_of(space, space.setting()))
    recipe = Recipe(options.space, options.task, options.steps, options.batch, options.lr, seed=options.seed)
    archs = drawn(space, options.subnets, options.seed)
    inherited = {
        sampling: inherits(space, task, data, replace(recipe, sampling=sampling), archs, options.folder)
        for sampling in options.sampling
    }
    alone = [trained_alone(space, task, data, recipe, arch) for arch in archs]
    show(archs, inherited, alone)
    print(json.dumps(summary(inherited, alone, options)))


def drawn(space: Space, count: int, seed: int) -> list[Arch]:
    """Return subnets whose operations are spread evenly on a logarithmic scale."""
    outline, setting = space.outline(), space.setting()
    return sample_by_complexity(
        space.choices, count, lambda arch: float(arch_costs(outline, arch, setting).macs), Random(seed)
    )


def inherits(
    space: Space, task: Task, data: Data, recipe: Recipe, archs: list[Arch], folder: Path | None
) -> list[float]:
    """Train a supernet; return the accuracies that subnets have with its weights."""
    supernet = trained(space, task, data, recipe)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(folder / f"{space.name}-{recipe.sampling}.safetensors", space, supernet)
    return [subnet_accuracy(supernet, arch, task, data) for arch in archs]


def trained_alone(space: Space, task: Task, data: Data, recipe: Recipe, arch: Arch) -> float:
    """Return the accuracy of a subnet whose weights nothing else has trained."""
    only = space.choices.restricted({name: [value] for name, value in arch.choices.items()})
    supernet = trained(replace(space, choices=only), task, data, replace(recipe, sampling="uniform", subnets=1))
    return subnet_accuracy(supernet, arch, task, data)


def trained(space: Space, task: Task, data: Data, recipe: Recipe) -> Supernet:
    """Return a supernet after all of a recipe's steps."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(space, space.supernet(recipe.seed), task, data.train, recipe, device)
    start = time.monotonic()
    for _ in range(recipe.steps):
        step = trainer.advance()
    losses = ", ".join(f"{loss:.3f}" for loss in step.losses)
    print(f"{recipe.sampling}: {recipe.steps} steps in {time.monotonic() - start:.0f} s, {losses}", file=sys.stderr)
    return trainer.supernet


def show(archs: list[Arch], inherited: dict[str, list[float]], alone: list[float]) -> None:
    """Print the accuracies of each subnet."""
    table = Table("subnet", *(f"inherited, {sampling}" for sampling in inherited), "alone")
    for place, arch in enumerate(archs):
        accuracies = [*(values[place] for values in inherited.values()), alone[place]]
        table.add_row(arch.digest[:8], *(f"{accuracy:.2%}" for accuracy in accuracies))
    Console(width=120).print(table)


def summary(inherited: dict[str, list[float]], alone: list[float], options: argparse.Namespace) -> dict[str, Any]:
    """Return Kendall's tau and mean accuracies of each sampling."""
    found: dict[str, Any] = {"space": options.space, "task": options.task, "steps": options.steps}
    for sampling, accuracies in inherited.items():
        found[sampling] = {
            "kendall": float(kendalltau(accuracies, alone).statistic),
            "mean_accuracy": statistics.fmean(accuracies),
            "accuracies": accuracies,
        }
    return {**found, "alone": {"mean_accuracy": statistics.fmean(alone), "accuracies": alone}}


if __name__ == "__main__":
    main()
