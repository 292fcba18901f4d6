"""Reads devices.yaml and tells every mistake in it at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from hwloop.devices.fleet import (
    NAME_PATTERN,
    BaseSettings,
    BundleDevice,
    Device,
    EmulatedDevice,
    LimitSettings,
    LocalDevice,
    Settings,
    SshDevice,
    TargetSettings,
    did_you_mean,
)
from hwloop.devices.yaml_lines import YamlDocument, YamlPath, dotted, parse_yaml
from hwloop.errors import ConfigError, Problem

LARGEST_BYTES = 1 << 20
MODELS: dict[str, type[BaseSettings]] = {
    "local": LocalDevice,
    "ssh": SshDevice,
    "emulated": EmulatedDevice,
    "bundle": BundleDevice,
}
# Settings that are mappings themselves.
WITHIN: dict[object, type[BaseModel]] = {"target": TargetSettings, "limits": LimitSettings}
ADAPTER: TypeAdapter[Settings] = TypeAdapter(Annotated[Settings, Field(discriminator="transport")])
SECRET = re.compile(r"pass(word|phrase|wd)?$|secret|token|private_key$", re.IGNORECASE)
CREDENTIALS = re.compile(r":.*@", re.DOTALL)  # rather too much than part of a password
EXAMPLE = "Begin it with `devices:` and, below, `  local: {transport: local}`."
# What pydantic says in Python's words.
PLAIN_WORDS = {
    "tuple_type": "this should be a list",
    "model_type": "this should be a mapping",
    "string_pattern_mismatch": "this is not of the form that is needed",
    "too_short": "the list is empty",
}


def read_fleet_file(file: Path) -> tuple[Device, ...]:
    """Return the devices of a file, in its order.

    Raises:
        ConfigError: the file cannot be read or has mistakes; it carries all of them.
    """
    document = parse_yaml(_read(file), str(file))
    devices: list[Device] = []
    problems: list[Problem] = []
    for name, entry in _entries(document, str(file)).items():
        told = list(_look_over(name, entry, document))
        problems += told
        if isinstance(entry, dict):
            try:
                devices.append(Device(str(name), ADAPTER.validate_python(_without(entry, told, name))))
            except ValidationError as error:
                problems += _problems(name, entry, error.errors(), document)
    if problems:
        raise ConfigError(str(file), sorted(problems, key=lambda problem: problem.line))
    return tuple(devices)


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        remedy = "Name a file that can be read, or unset HWLOOP_DEVICES."
        raise ConfigError(str(file), [Problem("", 0, "", error.strerror or str(error), remedy)]) from error
    if len(data) > LARGEST_BYTES:
        message = f"it has {len(data) / 1e6:.0f} MB, which is no fleet file"
        raise ConfigError(str(file), [Problem("", 0, "", message, EXAMPLE)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(file), [Problem("", line, "", "it is no UTF-8 text", "Save it as UTF-8.")]) from error


def _entries(document: YamlDocument, file: str) -> dict[Any, Any]:
    top = document.value
    if top is None:
        raise ConfigError(file, [Problem("", 1, "", "the file is empty", EXAMPLE)])
    if not isinstance(top, dict):
        raise ConfigError(file, [Problem("", 1, _shown(top), "it is no mapping", EXAMPLE)])
    problems = [
        Problem(
            str(key),
            document.line((str(key),)),
            "",
            "unknown key",
            did_you_mean(str(key), ["devices"]) + EXAMPLE,
        )
        for key in top
        if key != "devices"
    ]
    entries = top.get("devices")
    if not isinstance(entries, dict) or not entries:
        message = "it holds no mapping of names to devices" if "devices" in top else "`devices` is missing"
        problems.append(Problem("devices", document.line(("devices",)), _shown(entries), message, EXAMPLE))
    if problems or not isinstance(entries, dict):
        raise ConfigError(file, problems)
    return entries


def _look_over(name: object, entry: object, document: YamlDocument) -> Iterator[Problem]:
    """Yield what the models cannot say: wrong names, secrets, unknown keys."""
    path = ("devices", str(name))
    line = document.line(path)
    if not isinstance(name, str):
        yield Problem(dotted(path), line, _shown(name), "the name is no text", f'Quote it: "{name}".')
    elif not re.match(NAME_PATTERN, name):
        remedy = "Use letters, digits, - _ and ., 64 at most, a letter or digit first."
        yield Problem(dotted(path), line, _shown(name), "the name has other characters", remedy)
    if not isinstance(entry, dict):
        remedy = "Give at least `transport`, as in `{transport: local}`."
        yield Problem(dotted(path), line, _shown(entry), "it is no mapping", remedy)
        return
    model = MODELS.get(str(entry.get("transport")))
    for key, value in entry.items():
        here = (*path, str(key))
        if SECRET.search(str(key)):
            remedy = "Remove it, and log in with a key (`key_file`) or an SSH agent."
            yield Problem(dotted(here), document.line(here), "(hidden)", "secrets never stand in this file", remedy)
        elif model and key not in model.model_fields:
            yield Problem(dotted(here), document.line(here), _shown(value), "unknown key", _known(key, model))


def _known(key: object, model: type[BaseModel]) -> str:
    fields = list(model.model_fields)
    return f"{did_you_mean(str(key), fields)}Known keys: {', '.join(fields)}."


def _without(entry: Mapping[Any, Any], told: Sequence[Problem], name: object) -> dict[Any, Any]:
    """Return an entry less what was told already, so that nothing is told twice."""
    paths = {problem.path for problem in told}
    return {key: value for key, value in entry.items() if dotted(("devices", str(name), str(key))) not in paths}


def _problems(
    name: object, entry: Mapping[Any, Any], found: Sequence[ErrorDetails], document: YamlDocument
) -> Iterator[Problem]:
    """Yield a problem for each mistake; a list whose items are wrong is not wrong for being empty without them."""
    paths = [mistake["loc"] for mistake in found]
    for mistake in found:
        loc = mistake["loc"]
        if not (mistake["type"] == "too_short" and any(path[: len(loc)] == loc != path for path in paths)):
            yield _problem(name, entry, mistake, document)


def _problem(name: object, entry: Mapping[Any, Any], found: ErrorDetails, document: YamlDocument) -> Problem:
    kind = found["type"]
    device: YamlPath = ("devices", str(name))
    transports = f"Write `transport:` and one of {', '.join(MODELS)}."
    if kind == "union_tag_not_found":
        return Problem(dotted(device), document.line(device), "", "`transport` is missing", transports)
    if kind == "union_tag_invalid":
        path: YamlPath = (*device, "transport")
        given = _shown(entry["transport"])
        return Problem(
            dotted(path),
            document.line(path),
            given,
            "unknown transport",
            did_you_mean(given, MODELS) + transports,
        )
    # The first part names the transport, which does not stand in the file's path.
    inside = found["loc"][1:]
    path = (*device, *inside)
    model: type[BaseModel] = MODELS[str(entry["transport"])]
    field = inside[0]
    if inside[0] in WITHIN and len(inside) > 1:
        model, field = WITHIN[inside[0]], inside[1]
    value = "" if kind == "missing" else _shown(found["input"])
    if kind == "extra_forbidden":
        return Problem(dotted(path), document.line(path), value, "unknown key", _known(field, model))
    remedy = f"`{field}` is {model.model_fields[str(field)].description}."
    message = PLAIN_WORDS.get(kind) or found["msg"].removeprefix("Value error, ")
    if kind == "missing":
        message = f"`{field}` is missing"
    return Problem(dotted(path), document.line(path), value, message[:1].lower() + message[1:], remedy)


def _shown(value: object) -> str:
    text = "" if value is None else CREDENTIALS.sub(":...@", str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
