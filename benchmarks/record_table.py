"""Records what every candidate of a small space is worth, for benchmarks of searches (search_quality.py).

    python benchmarks/record_table.py --space vit-mini --task fashion-mnist --weights vit.safetensors -o vit.csv \\
        --restrict patch=7,4 width=48,96 depth=2,3 blocks.0.mixer=pooling,softmax blocks.0.ratio=1,3 \\
        blocks.1.mixer=pooling,softmax blocks.2.mixer=pooling,softmax \\
        --blocks blocks.0 blocks.1 blocks.2 --schemes fp32,int8-static                          # 640 candidates
    python benchmarks/record_table.py --space resnet-mini --task fashion-mnist --weights resnet.safetensors \\
        -o resnet.csv --restrict stages.1.depth=1,2,3 stages.2.depth=1,2,3 stages.0.width=0.5,1 stages.1.width=0.5,1 \\
        stages.2.width=0.5,0.75,1 --blocks stages.0 stages.1 stages.2 --schemes fp32,int8-static   # 864 candidates
    python benchmarks/record_table.py --space mobile-mini --task fashion-mnist --weights mobile.safetensors \\
        -o mobile.csv --restrict stages.1.depth=1,2,3 stages.2.depth=1,2,3 stages.1.blocks.0.expansion=2,4 \\
        stages.2.blocks.0.expansion=2,4 stages.1.blocks.0.kernel=3,5 --blocks stages.1 stages.2 last \\
        --schemes fp32,int8-static                                                              # 576 candidates

Choices that `--restrict` does not name keep their largest value, blocks that `--blocks` does not name fp32. Latency is
measured as `hwloop measure` does, accuracy on the quantized ONNX model through ONNX Runtime. It goes on where it was
stopped: lines in the file and measurements in the store are not taken again. `--count` only says how many candidates
there are. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hwloop.devices.fleet import load_fleet
from hwloop.errors import HwloopError, UsageError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.exporter.runtimes.tvm import Tvm
from hwloop.learning.measuring import Measuring
from hwloop.measure.job import Silent
from hwloop.paths import store_path
from hwloop.records import Candidate, Measurement, TimingProtocol, Verdict
from hwloop.search.checkpoints import supernet_with
from hwloop.search.evaluation import Evaluator
from hwloop.search.loop.job import parse_choices
from hwloop.search.recorded import Recipe, RecordedTable, append_result, begin_table
from hwloop.search.spaces.registry import load_space
from hwloop.search.strategies.base import Result
from hwloop.search.tasks.registry import load_task
from hwloop.search.training.run import inputs_of
from hwloop.store import Store

RUNTIMES = {"onnxruntime": OnnxRuntime, "tvm": Tvm}
BATCH = 8  # candidates that are exported and measured together


def main() -> int:
    """Record a table, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--weights", required=True, help="a checkpoint of `hwloop train`, pretrained, or random")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the CSV file")
    parser.add_argument("--restrict", nargs="*", default=[], metavar="CHOICE=VALUE,VALUE")
    parser.add_argument("--blocks", nargs="*", default=[], help="those whose scheme is open; all, if none is named")
    parser.add_argument("--schemes", default="fp32,int8-static")
    parser.add_argument("--granularity", default="block", choices=["layer", "block", "model"])
    parser.add_argument("-d", "--device", default="local", help="a device of the fleet file")
    parser.add_argument("--devices", type=Path, help="the fleet file, in place of ./devices.yaml")
    parser.add_argument("-r", "--runtime", default="onnxruntime", choices=RUNTIMES)
    parser.add_argument("--seconds", type=float, default=1.0, help="most seconds of timed calls a measurement takes")
    parser.add_argument("--processes", type=int, default=3, help="fresh processes a measurement, at least")
    parser.add_argument("--width", type=float, default=0.02, help="relative width of the interval that ends one")
    parser.add_argument("--examples", type=int, help="of those for evaluation, so many; all, if not given")
    parser.add_argument("--count", action="store_true", help="say how many candidates there are, and end")
    options = parser.parse_args()
    try:
        return record(options)
    except HwloopError as error:
        print(f"{error} {error.remedy}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 3


def record(options: argparse.Namespace) -> int:
    """Evaluate every candidate that the table does not have yet."""
    recipe = Recipe(
        options.space,
        parse_choices(options.restrict),
        options.blocks,
        options.schemes.split(","),
        [options.runtime],
        options.granularity,
        f"{options.task}, {Path(options.weights).name}, {options.device}, {options.runtime}",
    )
    genome = recipe.genome()
    candidates = list(genome.points())
    if options.count:
        print(json.dumps({"candidates": len(candidates)}))
        return 0
    begin_table(options.output, recipe)
    known = RecordedTable.read(options.output).results
    left = [candidate for candidate in candidates if candidate not in known]
    evaluator = make_evaluator(options)
    unsure = 0
    console = Console(stderr=True)
    columns = (TextColumn("candidates"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Store.open(store_path()) as store, Progress(*columns, console=console) as bar:
        shown = bar.add_task("", total=len(candidates), completed=len(known))
        for start in range(0, len(left), BATCH):
            batch = left[start : start + BATCH]
            for candidate, found in measured(batch, store, options):
                if found.failure is None and found.verdict is not Verdict.VALID:
                    unsure += 1  # left out of the file, so that the next run takes it anew
                else:
                    append_result(options.output, Result(candidate, worth(candidate, found, evaluator)))
                bar.advance(shown)
    table = RecordedTable.read(options.output)
    failed = sum(result.values is None for result in table.results.values())
    print(f"{len(table.results)} of {len(candidates)} candidates, {failed} failed; {unsure} measurements not trusted")
    print(
        json.dumps({"candidates": len(candidates), "recorded": len(table.results), "failed": failed, "unsure": unsure})
    )
    return 0


def worth(candidate: Candidate, found: Measurement, evaluator: Evaluator) -> dict[str, float] | None:
    """Return the values of a measured candidate; None where it failed."""
    latency = found.summary.insns_per_call if found.subject.emulated else found.summary.median_ms
    if found.failure is not None or latency is None:
        return None
    size = float(found.subject.artifact_bytes)
    return {"accuracy": evaluator.accuracy(candidate), "latency": latency, "size": size}


def measured(
    candidates: Sequence[Candidate], store: Store, options: argparse.Namespace
) -> Iterator[tuple[Candidate, Measurement]]:
    """Yield candidates with their measurements, out of the store where it has them."""
    device = load_fleet(options.devices).select([options.device])[0]
    protocol = TimingProtocol(processes=options.processes, seconds=options.seconds, relative_width=options.width)
    measure = Measuring(store, device, RUNTIMES[options.runtime](), protocol, Silent(), weights=options.weights)
    found = measure(candidates)
    by_name = {one.subject.model: one for one in found}
    for candidate in candidates:
        name = f"{candidate.space}-{candidate.digest[:8]}"
        if name in by_name:
            yield candidate, by_name[name]


def make_evaluator(options: argparse.Namespace) -> Evaluator:
    """Return what tells accuracies, with the weights that were asked for."""
    space, task = load_space(options.space), load_task(options.task)
    setting = space.setting()
    data = task.data(inputs_of(space, setting))
    return Evaluator(space, supernet_with(space, options.weights), setting, task, data, examples=options.examples)


if __name__ == "__main__":
    sys.exit(main())
