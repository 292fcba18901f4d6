"""How fast subnets become ONNX, how right they are, and what their policies change.

    python benchmarks/export_speed.py                                   # every space, speed against torch's exporters
    python benchmarks/export_speed.py --space vit-tiny --parts speed memory
    python benchmarks/export_speed.py --parts errors measured policies --candidates 50

speed: random subnets exported to serialized ONNX on one core, fp32 and with a mixed policy (calibrated once), in
turns with both of torch's exporters on some of the same subnets. memory: resident memory after 100 and after 1,000
exports. errors: the largest relative error of ONNX Runtime's outputs against torch's. measured: the share of random
candidates that `hwloop measure` measures on this machine, with each runtime; each failure is shown. policies: size and
latency of one subnet in each scheme. The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table

from hwloop.records import Candidate, QuantPolicy, Scheme
from hwloop.search.exports import CandidateExporter, made_up
from hwloop.search.sampling import sample_distinct
from hwloop.search.spaces.base import Space
from hwloop.search.spaces.registry import SPACES, load_space
from hwloop.search.subnets import export_subnets, run_subnet

PARTS = ("speed", "memory", "errors", "measured", "policies")
MIXED = (Scheme.FP32, Scheme.INT8_DYNAMIC, Scheme.INT8_STATIC)
TORCH_SUBNETS = 3
POLICIES = {
    "fp32": QuantPolicy(),
    "int8-dynamic": QuantPolicy({"*": Scheme.INT8_DYNAMIC}),
    "int8-static": QuantPolicy({"*": Scheme.INT8_STATIC}),
}


def main() -> None:
    """Run the parts that were asked for, print tables, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", action="append", choices=sorted(SPACES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["speed"])
    parser.add_argument("--candidates", type=int, default=50, help="random candidates of each space")
    parser.add_argument("--exports", type=int, default=30, help="subnets that are timed in each space")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    found: dict[str, dict[str, Any]] = {}
    for name in options.space or list(SPACES):
        found[name] = {}
        for part in options.parts:
            found[name] |= RUNS[part](load_space(name), name, options)
            print(f"{name}: {part} done", file=sys.stderr)
    report(found, options.parts)


def mixed_policy(layers: list[str], random: Random) -> QuantPolicy:
    """Return a policy with a random scheme for each layer."""
    return QuantPolicy({layer: random.choice(MIXED) for layer in layers})


def int4_policy(space: Space) -> QuantPolicy:
    """Return 4-bit weights for all linear layers and embeddings; no runtime has a kernel for convolutions of such."""
    outline, kinds = space.outline(), torch.nn.Linear | torch.nn.Embedding
    assert isinstance(outline, torch.nn.Module)
    names = [name for name, module in outline.named_modules() if isinstance(module, kinds)]
    return QuantPolicy(dict.fromkeys(names, Scheme.INT4_WEIGHT))


def candidates_of(space: Space, name: str, count: int, random: Random, *, mixed: bool) -> list[Candidate]:
    """Return random candidates, in fp32 or with a random scheme for each layer."""
    from hwloop.search.subnets import layer_names

    layers = layer_names(space.outline())
    return [
        Candidate(name, arch, mixed_policy(layers, random) if mixed else QuantPolicy())
        for arch in sample_distinct(space.choices, count, random)
    ]


def speed(space: Space, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time exports, and torch's on some of the same subnets."""
    supernet = space.supernet(options.seed)
    exporter = CandidateExporter(space, supernet, space.setting(), seed=options.seed)
    found: dict[str, Any] = {}
    for label, mixed in (("fp32", False), ("mixed", True)):
        candidates = candidates_of(space, name, options.exports, Random(options.seed), mixed=mixed)
        serialized(exporter, Candidate(name, space.choices.largest, candidates[0].policy))  # calibrates
        seconds = [timed(lambda one=one: serialized(exporter, one)) for one in candidates]
        found[f"{label}_subnets_per_s"] = len(seconds) / sum(seconds)
        found[f"{label}_slowest_s"] = max(seconds)
    ratios: dict[str, list[float]] = {"torchscript": [], "dynamo": []}
    for candidate in candidates_of(space, name, TORCH_SUBNETS, Random(options.seed), mixed=False):
        for how, values in ratios.items():
            try:
                theirs = timed(lambda how=how, one=candidate: torch_export(space, supernet, one, how))
            except Exception as error:  # noqa: BLE001  torch's exporters have no common base of errors
                found[f"{how}_failure"] = repr(error).partition("\\n")[0][:100]
                continue
            values.append(theirs / timed(lambda one=candidate: serialized(exporter, one)))
            found[f"{how}_s"] = theirs
    for how, values in ratios.items():
        found[f"{how}_ratios"] = [round(value, 1) for value in values]
    return found


def serialized(exporter: CandidateExporter, candidate: Candidate) -> int:
    """Export a candidate; return the bytes of its files."""
    return sum(len(subnet.model.SerializeToString()) for subnet in exporter.export(candidate))


def torch_export(space: Space, supernet: Any, candidate: Candidate, how: str) -> None:
    """Export a candidate's parts with one of torch's own exporters."""
    supernet.activate(candidate.arch)
    for part in supernet.parts(space.setting()):

        class Whole(torch.nn.Module):
            """A part as a module."""

            def __init__(self) -> None:
                super().__init__()
                self.supernet = supernet

            def forward(self, *given: torch.Tensor) -> Any:
                """Run the part."""
                return part.forward(*given)  # noqa: B023  used at once

        given = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in part.inputs)
        with io.BytesIO() as file, torch.no_grad():
            if how == "dynamo":
                program = torch.onnx.export(Whole().eval(), given, dynamo=True, verbose=False)
                program.model_proto.SerializeToString()
            else:
                torch.onnx.export(Whole().eval(), given, file, dynamo=False, opset_version=17)


def memory(space: Space, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the resident memory after 100 and after 1,000 exports."""
    exporter = CandidateExporter(space, space.supernet(options.seed), space.setting(), seed=options.seed)
    candidates = candidates_of(space, name, 100, Random(options.seed), mixed=True)
    held = []
    for number in range(1000):
        serialized(exporter, candidates[number % len(candidates)])
        if number + 1 in (100, 1000):
            held.append(resident_mb())
    return {"rss_mb_after_100": held[0], "rss_mb_after_1000": held[1]}


def errors(space: Space, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the largest relative error of fp32 candidates in ONNX Runtime, against torch."""
    supernet = space.supernet(options.seed)
    worst = 0.0
    for candidate in candidates_of(space, name, options.candidates, Random(options.seed), mixed=False):
        subnets = export_subnets(supernet, candidate.arch, space.setting())
        for subnet, part in zip(subnets, supernet.parts(space.setting()), strict=True):
            inputs = made_up(subnet.model, options.seed)
            wanted = run_subnet(supernet, part, inputs)
            session = onnxruntime.InferenceSession(subnet.model.SerializeToString(), providers=["CPUExecutionProvider"])
            for output, value in zip(part.outputs, session.run(list(part.outputs), dict(inputs)), strict=True):
                difference = float(np.abs(value - wanted[output]).max() / np.abs(wanted[output]).max())
                worst = max(worst, difference)
    return {"max_relative_error": worst, "candidates": options.candidates}


def measured(space: Space, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the share of candidates with mixed policies that measures on this machine, by runtime."""
    random = Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "candidates.json"
        candidates = candidates_of(space, name, options.candidates, random, mixed=True)
        file.write_text(json.dumps([candidate.as_json() for candidate in candidates]))
        items = hwloop_measure([str(file), "--processes", "1", "--warmup", "0.1"], seconds=0.3)
    found: dict[str, Any] = {}
    for runtime in ("onnxruntime", "tvm"):
        mine = [item for item in items if item["runtime"] == runtime]
        failures = [f"{item['model']}: {item['failure']['message']}" for item in mine if item["failure"]]
        found[f"{runtime}_measured_share"] = 1 - len(failures) / len(mine)
        found[f"{runtime}_failures"] = failures
    return found


def policies(space: Space, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return size and latency of one subnet in each scheme, with each runtime."""
    (mixed,) = candidates_of(space, name, 1, Random(options.seed), mixed=True)
    wanted = {**POLICIES, "int4-weight": int4_policy(space), "mixed": mixed.policy}
    candidates = {label: Candidate(name, mixed.arch, policy) for label, policy in wanted.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "candidates.json"
        file.write_text(json.dumps([candidate.as_json() for candidate in candidates.values()]))
        items = hwloop_measure([str(file)], seconds=2.0)
    found: dict[str, Any] = {}
    for label, candidate in candidates.items():
        for runtime in ("onnxruntime", "tvm"):
            found[f"{label} {runtime}"] = figures_of(
                [item for item in items if item["runtime"] == runtime and candidate.digest[:8] in item["model"]]
            )
    return {"policies": found}


def figures_of(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of a candidate, of which some parts were measured with one runtime."""
    failure = next((item["failure"]["message"] for item in parts if item["failure"]), None)
    return {
        "median_ms": None if failure else sum(item["median_ms"] * item["repeats"] for item in parts),
        "artifact_mb": None if failure else sum(item["artifact_bytes"] for item in parts) / 1e6,
        "failure": failure,
        "verdicts": sorted({item["verdict"] for item in parts}),
    }


def hwloop_measure(words: list[str], seconds: float) -> list[dict[str, Any]]:
    """Return the items of `hwloop measure --json` on this machine."""
    command = [sys.executable, "-m", "hwloop", "measure", *words, "-d", "local", "--json", "--seconds", str(seconds)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return list(json.loads(ended.stdout))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of processor time that something takes, which other work on the machine hardly changes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def resident_mb() -> float:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


RUNS = {"speed": speed, "memory": memory, "errors": errors, "measured": measured, "policies": policies}


def report(found: dict[str, dict[str, Any]], parts: list[str]) -> None:
    """Print a table for what was asked, and one line of JSON."""
    table = Table("space", "figure", "value")
    for name, figures in found.items():
        for figure, value in rows(figures):
            table.add_row(name, figure, value)
    Console(width=140).print(table)
    summary: dict[str, Any] = {}
    if "speed" in parts:
        rates = {label: [one[f"{label}_subnets_per_s"] for one in found.values()] for label in ("fp32", "mixed")}
        summary = {f"{label}_geomean": statistics.geometric_mean(values) for label, values in rates.items()}
        summary["subnets_per_s"] = {name: one["fp32_subnets_per_s"] for name, one in found.items()}
    print(json.dumps({**found, **summary}))


def rows(figures: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield labels and values, nested ones by their path."""
    for figure, value in figures.items():
        if isinstance(value, dict):
            yield from rows(value, f"{before}{figure}: ")
        else:
            yield f"{before}{figure}", f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
