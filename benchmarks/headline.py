"""What a search gains: the largest network in fp32, the same in int8, and the best that was found at no loss.

    python benchmarks/headline.py --space resnet-mini --task fashion-mnist --weights resnet.safetensors -d local
    python benchmarks/headline.py --space vit-mini --task fashion-mnist --weights vit.safetensors -r tvm --budget 150

Searches architectures and quantization together for accuracy and latency (or takes what the store has of it), then the
architecture first and its quantization after, with the same budget in all. Searches are told to stay as accurate as the
largest subnet in fp32, but for `SLACK`, on the examples that they rank by. The best at no loss is the fastest candidate
whose artifact is at least as accurate as that subnet on all examples for evaluation. Latency ratios
come from `hwloop compare`: the two in turns on the device, with 99 % intervals; of translators, each part by itself,
weighted by its share of the largest one's latency. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hwloop.cli.options import parse_shapes
from hwloop.cli.progress import Progress
from hwloop.devices.fleet import load_fleet
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.paths import store_path
from hwloop.records import Candidate, Scheme, TimingProtocol
from hwloop.records.search import Trial
from hwloop.search.goals import Goal
from hwloop.search.loop.bench import Bench
from hwloop.search.loop.job import SearchJob
from hwloop.search.loop.run import Found, Round, search
from hwloop.search.model_files import ModelFile, write_subnets
from hwloop.search.spaces.registry import load_space
from hwloop.store import Store

SLACK = 0.002  # by how much a search's fewer examples may be wrong
RUNTIMES = {"onnxruntime": OnnxRuntime, "tvm": Tvm}


def main() -> None:
    """Run the benchmark, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--weights", required=True, help="a checkpoint of `hwloop train`")
    parser.add_argument("-d", "--device", default="local", help="a device of the fleet file")
    parser.add_argument("--devices", type=Path, help="the fleet file, in place of ./devices.yaml")
    parser.add_argument("-r", "--runtime", default="onnxruntime", choices=RUNTIMES)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--examples", type=int, help="rank by the first so many; what is told is on all")
    parser.add_argument("--judged", type=int, default=20, help="a search's fastest candidates that all examples judge")
    parser.add_argument("--strategy", default="guided")
    parser.add_argument("--seconds", type=float, default=1.0, help="most seconds of timed calls a measurement takes")
    parser.add_argument("--width", type=float, default=0.02, help="relative width of the interval that ends one")
    parser.add_argument("--compare-seconds", type=float, default=10.0)
    parser.add_argument("--shape", nargs="*", default=[], metavar="NAME=SIZE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with Store.open(store_path()) as store:
        figures = measured(options, store)
    show(figures)
    print(json.dumps(figures))


def measured(options: argparse.Namespace, store: Store) -> dict[str, Any]:
    """Return all figures of one space, task and runtime."""
    job = job_of(options)
    bench = Bench(job, store, Progress)
    largest = load_space(options.space).choices.largest
    anchors = {
        "largest fp32": Candidate(options.space, largest),
        "largest int8-dynamic": job.genome.uniform(largest, Scheme.INT8_DYNAMIC),
        "largest int8-static": job.genome.uniform(largest, Scheme.INT8_STATIC),
    }
    trials = dict(zip(anchors, bench.trials(list(anchors.values())), strict=True))
    floor = value(trials["largest fp32"], "accuracy")
    [ranked] = bench.trials([trials["largest fp32"].candidate], examples=options.examples)
    least = value(ranked, "accuracy") - SLACK
    job = replace(job, goal=Goal.parse("accuracy,latency", [f"accuracy>={least:.4f}"]))
    joint = search(job, bench, store, tell)
    trials["found together"] = best_of(bench, job, joint, floor, options.judged)
    trials["architecture, then bits"] = in_two_stages(job, bench, store, floor, options.judged)
    with tempfile.TemporaryDirectory() as folder:
        ratios = compared(trials, bench, store, Path(folder), options)
    errors = joint.prediction_errors
    within = 100 * sum(error <= 0.1 for error in errors) / len(errors) if errors else None
    rows = {
        name: {**(trial.values or {"failure": trial.failure}), **ratios.get(name, {})} for name, trial in trials.items()
    }
    return {
        "space": options.space,
        "task": options.task,
        "runtime": options.runtime,
        "budget": options.budget,
        "front": len(joint.front),
        "front_predicted_within_10_percent": within,
        **rows,
    }


def job_of(options: argparse.Namespace) -> SearchJob:
    """Return the joint search."""
    protocol = TimingProtocol(seconds=options.seconds, relative_width=options.width, seed=options.seed)
    return SearchJob(
        space=options.space,
        goal=Goal.parse("accuracy,latency"),
        devices=tuple(load_fleet(options.devices).select([options.device])),
        runtime=RUNTIMES[options.runtime](),
        task=options.task,
        budget=options.budget,
        strategy=options.strategy,
        seed=options.seed,
        protocol=protocol,
        weights=options.weights,
        sizes=parse_shapes(options.shape),
        examples=options.examples,
    )


def in_two_stages(job: SearchJob, bench: Bench, store: Store, floor: float, judged: int) -> Trial:
    """Search the architecture in fp32 with half the budget, then its quantization with the other half."""
    first = replace(job, schemes=(Scheme.FP32,), budget=job.budget // 2)
    arch = best_of(bench, first, search(first, bench, store, tell), floor, judged).candidate.arch
    only = {name: (chosen,) for name, chosen in arch.choices.items()}
    second = replace(job, restricted=only, budget=job.budget - job.budget // 2)
    return best_of(bench, second, search(second, bench, store, tell), floor, judged)


def best_of(bench: Bench, job: SearchJob, found: Found, floor: float, judged: int) -> Trial:
    """Return the fastest candidate that is as accurate as the floor on all examples; else the most accurate one."""
    tried = sorted((trial for trial in found.trials if trial.values), key=lambda trial: value(trial, "latency"))
    likely = [trial for trial in tried if trial.values and job.goal.violation(trial.values) == 0]
    most = max(tried, key=lambda trial: value(trial, "accuracy"))
    chosen = dict.fromkeys(trial.candidate for trial in [*likely[:judged], most])
    sure = [trial for trial in bench.trials(list(chosen)) if trial.values]
    good = [trial for trial in sure if value(trial, "accuracy") >= floor]
    if good:
        return min(good, key=lambda trial: value(trial, "latency"))
    return max(sure, key=lambda trial: value(trial, "accuracy"))


def compared(
    trials: dict[str, Trial], bench: Bench, store: Store, folder: Path, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Return how much faster and smaller each is than the largest subnet in fp32.

    Parts are compared one by one, weighted by their shares of its latency; intervals as if all erred the same way.
    """
    names = [name for name, trial in trials.items() if trial.values]
    files = {
        name: write_subnets(trials[name].candidate, options.space, bench.export(trials[name].candidate), folder)
        for name in names
    }
    base = names[0]
    shares = shares_of(trials[base], files[base], store)
    found: dict[str, dict[str, Any]] = {}
    for name in names[1:]:
        ratio = low = high = 0.0
        for share, old, new in zip(shares, files[base], files[name], strict=True):
            words = ["compare", str(old.path), str(new.path), "-d", options.device, "-r", options.runtime, "--json"]
            item = hwloop([*words, "--seconds", str(options.compare_seconds)], options)
            ratio += share * item["ratio"]
            low += share * item["ci99"][0]
            high += share * item["ci99"][1]
        found[name] = {
            "times_faster": 1 / ratio,
            "times_faster_interval": [1 / high, 1 / low],
            "times_smaller": value(trials[base], "size") / value(trials[name], "size"),
        }
    return found


def shares_of(trial: Trial, files: Sequence[ModelFile], store: Store) -> list[float]:
    """Return each part's share of a trial's latency, as often as it runs."""
    summaries = [store.get(found, with_runs=False).summary for found in trial.measurements]
    medians = [one.median_ms if one.insns_per_call is None else one.insns_per_call for one in summaries]
    times = [median * file.repeats for median, file in zip(medians, files, strict=True) if median is not None]
    return [time / sum(times) for time in times]


def hwloop(words: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Return what a command prints as JSON."""
    more = ["--devices", str(options.devices)] if options.devices else []
    ended = subprocess.run([sys.executable, "-m", "hwloop", *words, *more], stdout=subprocess.PIPE, check=False)
    return dict(json.loads(ended.stdout))


def value(trial: Trial, key: str) -> float:
    """Return a value of a trial that has values."""
    if trial.values is None:
        raise SystemExit(f"{trial.candidate.digest[:8]}: {trial.failure}")
    return trial.values[key]


def tell(found: Round) -> None:
    """Say how far a search is."""
    print(f"{found.trials} tried, {found.failed} of no use, {found.front} on the front", file=sys.stderr)


def show(figures: dict[str, Any]) -> None:
    """Print a line for each network."""
    table = Table(
        "network", "accuracy", "latency", "size", "times faster (99 %)", "times smaller", title=figures["space"]
    )
    for name, row in figures.items():
        if not isinstance(row, dict):
            continue
        if "failure" in row:
            table.add_row(name, row["failure"])
            continue
        ends = row.get("times_faster_interval")
        faster = f"{row['times_faster']:.2f} ({ends[0]:.2f} to {ends[1]:.2f})" if ends else ""
        smaller = f"{row['times_smaller']:.2f}" if ends else ""
        latency, size = f"{row['latency']:.4g}", f"{row['size'] / 1e6:.3f} MB"
        table.add_row(name, f"{row['accuracy']:.2%}", latency, size, faster, smaller)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
