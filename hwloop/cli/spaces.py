"""`hwloop spaces`: what can be searched, and points of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwloop.cli.output import print_json, say
from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.records import Arch
    from hwloop.search.spaces.base import Space

app = typer.Typer(
    help="Search spaces: what can be chosen, how many networks that makes, and samples of them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
SpaceName = Annotated[
    str, typer.Argument(metavar="SPACE", help="A space's name, bert:FILE.safetensors, or FILE.py:NAME.")
]
Fix = Annotated[
    list[str] | None, typer.Option(metavar="CHOICE=VALUE", help="Leave a choice no other value; repeatable.")
]


@app.command("list", epilog="Example: hwloop spaces list")
def list_spaces(as_json: AsJson = False) -> None:
    """List the spaces that come with hwloop."""
    from hwloop.search.spaces.registry import SPACES, load_space

    found = [load_space(name) for name in SPACES]
    if as_json:
        print_json([_head(space) for space in found])
        return
    from rich.table import Table

    table = Table("space", "networks", "choices", "what it is", box=None)
    for space in found:
        table.add_row(space.name, _short(space.choices.count()), str(len(space.choices.choices)), space.summary)
    _print(table)


@app.command(epilog="Example: hwloop spaces show vit-mini")
def show(name: SpaceName, fix: Fix = None, as_json: AsJson = False) -> None:
    """Show a space: its choices with their values, its layers, and what its smallest and largest networks cost."""
    from hwloop.search.costs import arch_costs
    from hwloop.search.subnets import layer_names

    space = _space(name, fix)
    outline = space.outline()
    layers = layer_names(outline)
    ends = {"smallest": space.choices.smallest, "largest": space.choices.largest}
    costs = {end: arch_costs(outline, arch, space.setting()).as_json() for end, arch in ends.items()}
    choices = [
        {"name": one.name, "values": list(one.values), "needs": {key: list(value) for key, value in one.needs.items()}}
        for one in space.choices
    ]
    sizes = {size: value for size, value in vars(space.defaults).items() if value is not None}
    if as_json:
        rules = [rule.message for rule in space.choices.rules]
        more = {"choices": choices, "rules": rules, "sizes": sizes, "layers": layers, "costs": costs}
        print_json({**_head(space), **more})
        return
    from rich.table import Table

    typer.echo(f"{space.name}: {space.summary}\n{_short(space.choices.count())} networks\n")
    table = Table("choice", "values", "counts where", box=None)
    for choice in space.choices:
        needs = ", ".join(f"{other} in {_words(values)}" for other, values in choice.needs.items())
        table.add_row(choice.name, _words(choice.values), needs)
    _print(table)
    for rule in space.choices.rules:
        typer.echo(f"rule: {rule.message}")
    typer.echo(f"\nsizes: {', '.join(f'{size}={value}' for size, value in sizes.items())}")
    typer.echo(f"{len(layers)} layers that a policy can name: {', '.join(layers)}\n")
    _print(_cost_table([(end, costs[end]) for end in ends]))


@app.command(epilog="Example: hwloop spaces count hat-small --fix decoder.depth=1")
def count(name: SpaceName, fix: Fix = None, as_json: AsJson = False) -> None:
    """Count the networks of a space."""
    found = _space(name, fix).choices.count()
    if as_json:
        print_json({"space": name, "count": found})
    else:
        typer.echo(f"{found}")


@app.command(
    epilog="Example: hwloop spaces sample vit-mini -n 5 --seed 1 --spread --policy int8-dynamic -o candidates.yaml"
)
def sample(
    name: SpaceName,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same samples.")] = 0,
    spread: Annotated[
        bool, typer.Option("--spread", help="Spread them evenly from small networks to large; else uniform choices.")
    ] = False,
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="[LAYER=]SCHEME", help="fp32, int8-dynamic, int8-static or int4-weight; repeatable."),
    ] = None,
    fix: Fix = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .yaml or .json file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw candidates from a space, as YAML that every command takes in place of a model."""
    from random import Random

    from hwloop.records import Candidate
    from hwloop.search.candidate_files import SUFFIXES, as_yaml, parse_policy
    from hwloop.search.candidate_files import as_json as json_text
    from hwloop.search.costs import arch_costs
    from hwloop.search.sampling import sample_by_complexity, sample_distinct
    from hwloop.search.subnets import layer_names

    if output and output.suffix not in SUFFIXES:
        raise UsageError(f"{output}: a file of candidates ends in {', '.join(SUFFIXES)}", remedy="Name it so.")
    space, wanted, random = _space(name, fix), parse_policy(policy or []), Random(seed)
    outline = space.outline()
    wanted.resolved(layer_names(outline))

    def complexity(arch: Arch) -> float:
        return arch_costs(outline, arch, space.setting()).macs

    if spread:
        archs = sample_by_complexity(space.choices, number, complexity, random)
    else:
        archs = sample_distinct(space.choices, number, random)
    if len(archs) < number:
        say(f"The space has only {len(archs)} that differ.")
    candidates = [Candidate(name, arch, wanted) for arch in archs]
    text = json_text(candidates) if as_json or (output and output.suffix == ".json") else as_yaml(candidates)
    if output is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror}", remedy="Give another path.") from error
    say(f"{len(candidates)} candidates in {output}")


def _space(name: str, fix: Sequence[str] | None) -> Space:
    from dataclasses import replace

    import yaml

    from hwloop.cli.options import parse_pairs
    from hwloop.search.spaces.registry import load_space

    space = load_space(name)
    try:
        fixed = {choice: [yaml.safe_load(value)] for choice, value in parse_pairs("--fix", fix or []).items()}
    except yaml.YAMLError as error:
        raise UsageError("--fix: a value is neither a number nor a word", remedy="Use CHOICE=VALUE.") from error
    return replace(space, choices=space.choices.restricted(fixed))


def _head(space: Space) -> dict[str, object]:
    return {"name": space.name, "summary": space.summary, "count": space.choices.count()}


def _cost_table(rows: Sequence[tuple[str, dict[str, int]]]) -> Any:
    from rich.table import Table

    table = Table("network", "parameters", "weights MB", "MMACs", "activations MB", box=None)
    for label, costs in rows:
        table.add_row(
            label,
            f"{costs['parameters']:,}",
            f"{costs['weight_bytes'] / 1e6:.2f}",
            f"{costs['macs'] / 1e6:.1f}",
            f"{costs['peak_activation_bytes'] / 1e6:.2f}",
        )
    return table


def _print(table: Any) -> None:
    import sys

    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _words(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _short(number: int) -> str:
    return f"{number:,}" if number < 1e9 else f"{number:.1e}"
