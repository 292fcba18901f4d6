"""`hwloop predictor`: latencies without measuring, learned from what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwloop.cli.models import MODEL_HELP, POLICY_HELP, Asked, onnx_files
from hwloop.cli.options import parse_shapes, refuse_strange_runtimes
from hwloop.cli.output import print_json, say
from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.learning.recipe import FeatureKind

app = typer.Typer(
    help="Predictors: what a network will take on a device, with an interval, learned from measurements.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Model = Annotated[Path, typer.Argument(metavar="PREDICTOR", help="A file that `hwloop predictor fit` wrote.")]
Shape = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=SIZE", help="The size of a symbolic dimension; of candidates: batch, length, resolution, steps."
    ),
]
SEEDS = 5


@app.command(
    epilog="Examples: hwloop predictor fit -d pi4 -r onnxruntime --space hat-small --budget 100 -o pi4.json; of a new"
    " device: hwloop predictor fit -d new -r onnxruntime --space hat-small --budget 10 --from pi4.json --from xeon.json"
)
def fit(
    device: Annotated[str, typer.Option("--device", "-d", help="The device.")],
    runtime: Annotated[str, typer.Option("--runtime", "-r", help="onnxruntime or tvm.")],
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Learn this space, measuring what helps.")] = None,
    budget: Annotated[int, typer.Option(min=0, help="Most candidates of the space to be measured in all.")] = 0,
    target_error: Annotated[
        float | None, typer.Option(min=0.0, metavar="PERCENT", help="Stop once the cross-validated error is so small.")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="PREDICTOR", help="Start from a predictor of another device; 5 to 20 rows do. Repeatable."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Candidates chosen and measured at a time.")] = 10,
    pool: Annotated[int, typer.Option(min=10, help="Samples of the space to choose from.")] = 300,
    policies: Annotated[
        bool, typer.Option("--policies", help="Give the samples quantization policies, drawn for each block.")
    ] = False,
    features: Annotated[
        str, typer.Option(help="kernels (serves any graph), arch (the space's choices) or both.")
    ] = "kernels",
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads of the runtime.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.01, help="Most seconds of timed calls a measurement takes.")] = 3.0,
    width: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="End a measurement once the median's 95 % interval is this share of it."),
    ] = 0.02,
    processes: Annotated[int, typer.Option(min=1, max=100, help="Fresh processes of a measurement, at least.")] = 3,
    shape: Shape = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, folds and weights.")] = 0,
    devices_file: Annotated[
        Path | None, typer.Option("--devices", help="The fleet file, in place of ./devices.yaml.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; predictor-DEVICE-RUNTIME.json if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn a predictor from what the store has of a device and runtime.

    With --space and --budget, candidates are measured for it, those that teach most first, until the error target or
    the budget is met. What the store has counts and is not measured again, so a stopped command goes on from there.

    With --from, predictors of other devices say what networks take there, and it is learned how this device differs.
    Their files are not needed later.
    """
    from hwloop.cli.predictor_view import card_item, card_lines
    from hwloop.learning.few_shot import FewShot, load_sources, measured_otherwise, of_another_unit
    from hwloop.learning.fitting import Fitting
    from hwloop.learning.rows import rows_of
    from hwloop.paths import store_path
    from hwloop.store import Store

    refuse_strange_runtimes([runtime])
    if (budget and not space) or ((target_error is not None or policies) and not budget):
        raise UsageError(
            "--budget, --target-error and --policies are for a --space", remedy="Give --space and --budget, or neither."
        )
    sources = load_sources(source or [])
    fitting: Fitting = FewShot(_kind(features), seed, sources) if sources else Fitting(_kind(features), seed)
    sizes = parse_shapes(shape or [])
    for text in measured_otherwise(sources, threads, sizes.get("batch", 1)):
        say(f"warning: {text}")
    with Store.open(store_path()) as store:
        if space and budget:
            from hwloop.cli.predictor_bench import Bench
            from hwloop.learning.active import Goal
            from hwloop.learning.pool import Wanted
            from hwloop.records import TimingProtocol

            protocol = TimingProtocol(
                processes=processes, seconds=seconds, relative_width=width, threads=threads, seed=seed
            )
            bench = Bench(store, device, runtime, protocol, devices_file)
            wanted, goal = Wanted(space, pool, seed, policies, sizes, runtime), Goal(budget, batch, target_error)
            fitting = bench.measure(wanted, goal, fitting)
        rows = rows_of(store, device, runtime, threads=threads, batch=sizes.get("batch", 1))
        rows = rows.of_space(space) if space else rows
    for text in rows.left_out:
        say(f"left out: {text}")
    for text in of_another_unit(sources, rows.scope.unit):
        say(text)
    say(f"Fitting to {len(rows)} measured models.")
    predictor = fitting.fit(rows)
    path = output or Path(f"predictor-{device}-{runtime}.json")
    predictor.save(path)
    if as_json:
        print_json({"file": str(path), "left_out": list(rows.left_out), **card_item(predictor)})
        return
    typer.echo("\n".join([f"{path}:", *card_lines(predictor)]))


@app.command(epilog="Example: hwloop predictor evaluate pi4.json --holdout 0.3 --seeds 5 --picture pi4.svg")
def evaluate(
    model: Model,
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Measurements of this device; else of the predictor's own.")
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.95, metavar="SHARE", help="Fit anew without this share of the rows, and test it."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Random splits with --holdout.")] = SEEDS,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw predicted against measured: .svg or .html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare predictions with measurements in the store that the predictor has not learned from.

    With --holdout, predictors like it are fitted without a share of the rows instead, and tested on these.
    """
    from hwloop.cli.predictor_view import evaluation_lines
    from hwloop.cli.progress import counted
    from hwloop.learning.evaluating import on_holdout, on_unseen
    from hwloop.learning.few_shot import fitting_like
    from hwloop.learning.picture import refuse_strange_picture, write_picture
    from hwloop.learning.rows import rows_of
    from hwloop.learning.saved import Predictor
    from hwloop.paths import store_path
    from hwloop.store import Store

    if picture:
        refuse_strange_picture(picture)
    predictor = Predictor.load(model)
    scope, space = predictor.card.scope, predictor.card.space
    with Store.open(store_path()) as store:
        rows = rows_of(store, device or scope.device, scope.runtime, threads=scope.threads, batch=scope.batch)
    rows = rows.of_space(space) if space else rows
    if difference := scope.differences(rows.scope):
        say(f"The predictor has learned from another {'device' if device else 'state'}: here it is {difference}.")
    if scope.unit != rows.scope.unit:
        raise UsageError(f"the predictor's unit is {scope.unit}, that of {device} is {rows.scope.unit}")
    if holdout is None:
        found = on_unseen(predictor, rows)
    else:
        with counted("fitting", seeds) as done:
            found = on_holdout(fitting_like(predictor), rows, holdout, seeds, done)
    title = f"{rows.scope.device} with {rows.scope.runtime} {rows.scope.runtime_version}"
    if picture:
        write_picture(found, title, picture)
        say(f"picture: {picture}")
    if as_json:
        print_json({"device": rows.scope.device, "runtime": rows.scope.runtime, **found.as_json()})
    else:
        typer.echo("\n".join([title, *evaluation_lines(found)]))


@app.command(epilog="Example: hwloop predictor predict pi4.json model.onnx hat-small@7 candidates.yaml")
def predict(
    model: Model,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help=MODEL_HELP, show_default=False)
    ] = None,
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Predict samples of this space, too.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="How many samples of the space.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(metavar="[LAYER=]SCHEME", help=POLICY_HELP)] = None,
    shape: Shape = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the samples.")] = 0,
    device: Annotated[str | None, typer.Option("--device", "-d", help="Refuse a predictor of another device.")] = None,
    runtime: Annotated[
        str | None, typer.Option("--runtime", "-r", help="Refuse a predictor of another runtime.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict what networks will take, with 90 % intervals; nothing is measured, and no device is needed.

    Parts of a candidate are predicted each, and summed as often as they run. What is unlike all that was measured
    gets a wide interval and a mark.
    """
    from hwloop.cli.predictor_view import figure_items, figure_lines
    from hwloop.learning.networks import candidate_networks, network_of_file
    from hwloop.learning.saved import Predictor
    from hwloop.learning.totals import predicted
    from hwloop.scratch import scratch_folder
    from hwloop.search.model_files import split_sizes

    predictor = Predictor.load(model)
    predictor.refuse_other(device, runtime)
    asked = Asked(words or [], space, sample, policy or [], seed=seed)
    candidates = asked.candidates()
    sizes = parse_shapes(shape or [])
    mine, others = split_sizes(sizes, candidates) if asked.paths() else (sizes, {})
    with scratch_folder("models") as folder:
        networks = [network_of_file(file.path, others) for file in onnx_files(asked, folder, others)]
    networks += candidate_networks(candidates, mine)
    figures, warnings = predicted(predictor, networks)
    unit = predictor.card.scope.unit
    for warning in warnings:
        say(f"warning: {warning}")
    if as_json:
        print_json({"unit": unit, "warnings": list(warnings), "models": figure_items(figures, unit)})
    else:
        typer.echo("\n".join(figure_lines(figures, unit)))


@app.command(epilog="Example: hwloop predictor show pi4.json")
def show(model: Model, as_json: AsJson = False) -> None:
    """Show what a predictor predicts, what it was learned from, and its cross-validated errors."""
    from hwloop.cli.predictor_view import card_item, card_lines
    from hwloop.learning.saved import Predictor

    predictor = Predictor.load(model)
    if as_json:
        print_json(card_item(predictor))
    else:
        typer.echo("\n".join(card_lines(predictor)))


def _kind(word: str) -> FeatureKind:
    from hwloop.learning.recipe import FeatureKind

    if word not in list(FeatureKind):
        raise UsageError(f"--features {word}: there is no such kind", remedy=f"Use one of {', '.join(FeatureKind)}.")
    return FeatureKind(word)
