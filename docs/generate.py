"""The pages of `docs/commands/`, one for each command, written from what `--help` says.

python docs/generate.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from hwloop.cli import app

FOLDER = Path(__file__).parent / "commands"
WIDTH = 100  # of the pages, whatever terminal they are made in
NOTE = "<!-- Written by docs/generate.py from the command's --help. -->"


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    root = _context(typer.main.get_command(app), "hwloop")
    return {"hwloop.md": _page([root])} | {f"{one.info_name}.md": _page(_whole(one)) for one in _inner(root)}


def write() -> None:
    """Write all pages, and remove those of commands that are no more."""
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _page(contexts: list[Any]) -> str:
    """Return a page of commands: the first is its subject, those in it have sections."""
    parts = []
    for level, context in zip(["#", *["##"] * len(contexts)], contexts, strict=False):
        help_lines = (line.rstrip() for line in context.get_help().splitlines())
        parts += [f"{level} {context.command_path}", "\n".join(["```text", *help_lines, "```"])]
    return "\n\n".join([parts[0], NOTE, *parts[1:]]) + "\n"


def _whole(context: Any) -> list[Any]:
    """Return a command and all that are in it, in the order of its help."""
    return [context, *(inner for one in _inner(context) for inner in _whole(one))]


def _inner(context: Any) -> Iterator[Any]:
    """Yield the commands of a group; none of a single command."""
    for name, command in getattr(context.command, "commands", {}).items():
        yield _context(command, name, context)


def _context(command: Any, name: str, parent: Any = None) -> Any:
    """Return what click knows of a command; nothing is asked for (no argument has to be there) and nothing runs."""
    sizes = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    return command.make_context(name, [], parent, resilient_parsing=True, **sizes)


if __name__ == "__main__":
    write()
