"""A table of candidates that were all evaluated: a search over it costs nothing, and can be repeated.

It is a CSV file whose first line says, as JSON behind a `#`, which candidates it is of; the others are a candidate and
its values. A candidate that failed has empty values.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.records import Candidate
from hwloop.records.candidate import Value, scheme_named
from hwloop.search.genome import Genome
from hwloop.search.goals import ACCURACY, LATENCY, SIZE
from hwloop.search.spaces.base import Space
from hwloop.search.spaces.choices import Choices
from hwloop.search.strategies.base import Result

COLUMNS = {"accuracy": ACCURACY, "latency_ms": LATENCY, "size_bytes": SIZE}


@dataclass(frozen=True)
class Recipe:
    """What a table is of: a space in which only the choices in `restrict` are open, with schemes for some blocks.

    No blocks are all blocks. `measured` says in words what the values are of: task, weights, device, runtime.
    """

    space: str
    restrict: Mapping[str, Sequence[Value]]
    blocks: Sequence[str]
    schemes: Sequence[str]
    runtimes: Sequence[str]
    granularity: str = "block"
    measured: str = ""

    def genome(self) -> Genome:
        """Return the genome whose points are the table's candidates.

        Raises:
            UsageError: there is no such space, choice, value, block or scheme.
        """
        from hwloop.search.quantizable import genome_of
        from hwloop.search.spaces.registry import load_space

        space = opened(load_space(self.space), self.restrict)
        genome = genome_of(space, self.runtimes, self.granularity, [scheme_named(scheme) for scheme in self.schemes])
        strangers = [block for block in self.blocks if block not in genome.schemes]
        if strangers:
            raise UsageError(
                f"{space.name} has no block {strangers[0]!r} with these choices and schemes",
                remedy=f"The blocks are {', '.join(genome.schemes)}.",
            )
        kept = {group: some for group, some in genome.schemes.items() if not self.blocks or group in self.blocks}
        return replace(genome, schemes=kept)


@dataclass(frozen=True)
class RecordedTable:
    """A table as it was read; a failed candidate's result has no values."""

    recipe: Recipe
    results: Mapping[Candidate, Result]

    @classmethod
    def read(cls, path: Path) -> RecordedTable:
        """Return a file's table.

        Raises:
            UsageError: the file is none, or cannot be read.
        """
        try:
            with path.open(newline="") as file:
                recipe = Recipe(**json.loads(file.readline().removeprefix("#")))
                found = [_result(row) for row in csv.DictReader(file)]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read: {error}", remedy="Check the path.") from error
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}: this is no recorded table: {error}", remedy="Make one with benchmarks/record_table.py."
            ) from error
        return cls(recipe, {result.candidate: result for result in found})


def begin_table(path: Path, recipe: Recipe) -> None:
    """Begin a file, or go on with one that is of the same recipe.

    Raises:
        UsageError: the file is of another recipe, or none.
    """
    if path.exists():
        found = RecordedTable.read(path).recipe
        if asdict(found) != json.loads(json.dumps(asdict(recipe))):
            raise UsageError(f"{path}: this table is of other candidates", remedy="Name another file, or remove it.")
        return
    with path.open("w", newline="") as file:
        file.write(f"# {json.dumps(asdict(recipe))}\n")
        csv.writer(file).writerow(["candidate", *COLUMNS])


def append_result(path: Path, result: Result) -> None:
    """Add a line to a file."""
    values = [result.values[key] if result.values else "" for key in COLUMNS.values()]
    with path.open("a", newline="") as file:
        csv.writer(file).writerow([json.dumps(result.candidate.as_json()), *values])


def opened(space: Space, restrict: Mapping[str, Sequence[Value]]) -> Space:
    """Return a space in which every choice that is not named is fixed at its largest value.

    Raises:
        UsageError: a choice or a value is not there.
    """
    fixed = {choice.name: (choice.values[-1],) for choice in space.choices}
    choices: Choices = space.choices.restricted({**fixed, **restrict})
    return replace(space, choices=choices)


def _result(row: Mapping[str, str]) -> Result:
    candidate = Candidate.from_json(json.loads(row["candidate"]))
    if not all(row[column] for column in COLUMNS):
        return Result(candidate, None)
    return Result(candidate, {key: float(row[column]) for column, key in COLUMNS.items()})
