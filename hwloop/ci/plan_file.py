"""Reads a plan and tells every mistake in it at once, with its line and what is allowed there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hwloop.ci.plan import Budget, Check, Plan
from hwloop.devices.fleet import did_you_mean
from hwloop.devices.yaml_lines import YamlDocument, YamlPath, dotted, parse_yaml
from hwloop.errors import ConfigError, Problem

FILE_NAME = "hwloop.ci.yaml"
LARGEST_BYTES = 1 << 20
EXAMPLE = "docs/ci.md has an example."


def read_plan(file: Path) -> Plan:
    """Return the plan of a file.

    Raises:
        ConfigError: the file cannot be read or has mistakes; it carries all of them.
    """
    document = parse_yaml(_read(file), str(file))
    if not isinstance(document.value, dict):
        raise ConfigError(str(file), [Problem("", 1, "", "it is no mapping", f"Begin it with `checks:`. {EXAMPLE}")])
    try:
        return Plan.model_validate(document.value)
    except ValidationError as error:
        problems = [_problem(mistake, document) for mistake in _told(error.errors())]
        raise ConfigError(str(file), sorted(problems, key=lambda problem: problem.line)) from error


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise ConfigError(str(file), [Problem("", 0, "", "it is too large for a plan", EXAMPLE)])
        return data.decode("utf-8-sig")
    except OSError as error:
        remedy = f"Name the plan's file. {EXAMPLE}"
        raise ConfigError(str(file), [Problem("", 0, "", error.strerror or str(error), remedy)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), [Problem("", 1, "", "it is no UTF-8 text", "Save it as UTF-8.")]) from error


def _told(found: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is too short for its wrong items' sake."""
    paths = [mistake["loc"] for mistake in found]
    return [
        mistake
        for mistake in found
        if mistake["type"] != "too_short"
        or not any(path[: len(mistake["loc"])] == mistake["loc"] != path for path in paths)
    ]


def _problem(found: ErrorDetails, document: YamlDocument) -> Problem:
    path: YamlPath = tuple(part for part in found["loc"] if part != "[key]")
    place = dotted(path), document.line(path)
    if "[key]" in found["loc"]:
        return Problem(
            *place, "", "the name has other characters", "Use letters, digits, blanks, - _ and ., 64 at most."
        )
    model, field = _model_of(path), str(path[-1])
    if found["type"] == "extra_forbidden":
        known = list(model.model_fields)
        return Problem(
            *place,
            _shown(found["input"]),
            "unknown key",
            f"{did_you_mean(field, known)}Known keys: {', '.join(known)}.",
        )
    inner = next((part for part in reversed(path) if part in model.model_fields), None)
    remedy = f"`{inner}` is {model.model_fields[str(inner)].description}." if inner else EXAMPLE
    if found["type"] == "missing":
        return Problem(*place, "", f"`{field}` is missing", remedy)
    message = found["msg"].removeprefix("Value error, ")
    return Problem(*place, _shown(found["input"]), message[:1].lower() + message[1:], remedy)


def _model_of(path: YamlPath) -> type[BaseModel]:
    """Return the model whose field a path names: a plan's, a check's or a budget's."""
    if path[:1] != ("checks",) or len(path) < 3:
        return Plan
    return Budget if path[2] == "budget" and len(path) > 3 else Check


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
