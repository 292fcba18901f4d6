"""Documents as tests read them: code blocks with their commands, headings, links; and commands parsed, not run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(hwloop|make|git|cd|python3?) ")
SHELL = ("", "sh")


@dataclass(frozen=True)
class Block:
    """A code block: its page, its language ("" where none is said), its text, and the prose line before it."""

    page: Path
    language: str
    text: str
    before: str

    @property
    def commands(self) -> list[str]:
        """The commands in it, without their comments; of a block that is output, none."""
        lines = self.text.replace("\\\n", " ").splitlines() if self.language in SHELL else []
        return [re.sub(r"\s+", " ", line.partition(" # ")[0]).strip() for line in lines if COMMAND.match(line)]


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, found["language"], found["text"], text[: found.start()].strip().rpartition("\n")[2])
        for found in BLOCK.finditer(text)
    ]


def anchors_of(page: Path) -> set[str]:
    """Return the names that links to a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links_of(page: Path) -> list[tuple[str, str]]:
    """Return the links of a page within the project: (path, anchor), either of them empty where it is not there."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", text)
    return [(path, anchor) for path, anchor in found]


def spans_of(page: Path) -> list[str]:
    """Return the calls of hwloop with options that stand in a page's prose, each on one line."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"`(hwloop [^`|]* -[^`|]*)`", text)
    return [re.sub(r"\s+", " ", span) for span in found]


@cache
def command_line() -> Any:
    """Return the command line as click's commands."""
    import typer

    from hwloop.cli import app

    return typer.main.get_command(app)


def parse_command(command: str) -> None:
    """Parse a line that calls hwloop as the command line would, without running it.

    Raises:
        click's UsageError: there is no such command or option, or a value has the wrong form.
    """
    words = shlex.split(re.sub(r" > \S+$", "", command))
    parsed, context = command_line(), None
    while True:
        context = parsed.make_context(words[0], words[1:], context)
        words = [*context._protected_args, *context.args]
        if not hasattr(parsed, "commands") or not words:
            return
        _, parsed, _ = parsed.resolve_command(context, words)


def unknown_options(command: str) -> list[str]:
    """Return the options of a call that its command does not have; arguments and values need not be there."""
    parsed = command_line()
    words = shlex.split(command)
    for word in words[1:]:
        if word not in getattr(parsed, "commands", {}):
            break
        parsed = parsed.commands[word]
    known = {option for parameter in parsed.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help"}
    return [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
