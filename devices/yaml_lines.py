"""YAML with line numbers: where each value stands, and what is wrong with the text itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import yaml

from hwloop.errors import ConfigError, Problem

YamlPath = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `on`, `off`, `yes` and `no` are words, as in YAML 1.2."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class YamlDocument:
    """A parsed document; `lines` gives the line (from 1) of each key or item by its path."""

    value: object
    lines: dict[YamlPath, int]

    def line(self, path: YamlPath) -> int:
        """Return the line of a path, or of the nearest thing around it that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse_yaml(text: str, file: str) -> YamlDocument:
    """Parse one YAML document.

    Raises:
        ConfigError: the text is no YAML, or a key stands twice in one mapping; `file` names it.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        lines: dict[YamlPath, int] = {}
        problems = list(_walk(root, (), lines, ())) if root else []
        if problems:
            raise ConfigError(file, problems)
        return YamlDocument(yaml.load(text, Loader=_Loader), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, words = (mark.line + 1 if mark else 1), str(error.problem or error)
    except yaml.reader.ReaderError as error:
        line, words = (
            text.count("\n", 0, error.position) + 1,
            f"the character {error.character!r} is not allowed",
        )
    except RecursionError:
        line, words = 1, "it is nested too deeply"
    except (ValueError, TypeError) as error:
        # A date such as 2024-13-45.
        line, words = 1, str(error)
    remedy = "Check the indentation, colons and quotes there."
    raise ConfigError(file, [Problem("", line, "", f"this is not YAML: {words}", remedy)])


def _walk(
    node: yaml.Node, path: YamlPath, lines: dict[YamlPath, int], around: tuple[yaml.Node, ...]
) -> Iterator[Problem]:
    lines.setdefault(path, node.start_mark.line + 1)
    if node in around:
        yield Problem(dotted(path), lines[path], "", "an alias refers to what it stands in", "Remove the alias.")
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*path, index), lines, (*around, node))
    elif isinstance(node, yaml.MappingNode):
        seen: dict[Hashable, int] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            here = (*path, name)
            if name in seen and name != "<<":
                message = f"the key stands twice; first in line {seen[name]}"
                yield Problem(dotted(here), line, "", message, "Remove or rename one of the two.")
            seen[name] = line
            lines[here] = line
            yield from _walk(item, here, lines, (*around, node))


def dotted(path: YamlPath) -> str:
    """Return a path as messages show it: `devices.pi4.tags[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
