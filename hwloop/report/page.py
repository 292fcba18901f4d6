"""One self-contained HTML file: style, script and data inside, nothing fetched, nothing from the data ever run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from hwloop.errors import UsageError

STYLES = ("base.css", "charts.css", "tables.css")
SHARED_SCRIPTS = ("elements.js", "scales.js", "plot.js", "table.js")
# What could end a script element, or a line of JavaScript, inside JSON.
ESCAPES = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Section:
    """A part of a page: the script draws into the element `NAME-here`; `says` is a sentence beneath the title."""

    name: str
    title: str
    says: str


@dataclass(frozen=True)
class Page:
    """What a page shows: `facts` are names and values beneath the title, `told` a warning.

    `scripts` are files of `page/` beside the shared ones; `data` is JSON-able.
    """

    title: str
    subtitle: str
    sections: Sequence[Section]
    scripts: Sequence[str]
    data: object
    facts: Sequence[tuple[str, str]] = ()
    told: str = ""


def write_page(path: Path, page: Page) -> None:
    """Write a page as one HTML file; the file is replaced whole or not at all.

    Raises:
        UsageError: it cannot be written, or Jinja is not installed.
    """
    text = html(page)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", remedy="Name another file.") from error


def html(page: Page) -> str:
    """Return the page as text.

    A content security policy lets the browser run this one script, by its digest, and load nothing at all.

    Raises:
        UsageError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise UsageError("pages need Jinja", remedy="Install it: pip install 'hwloop[report]'") from error
    script = "\n".join(_asset(name) for name in (*SHARED_SCRIPTS, *page.scripts))
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(_asset("page.html.j2")).render(
        title=page.title,
        subtitle=page.subtitle,
        facts=page.facts,
        told=page.told,
        sections=page.sections,
        style=Markup("\n".join(map(_asset, STYLES))),
        script=Markup(script),
        script_digest=Markup(digest),
        data=Markup(_json(page.data)),
    )


def _json(data: Mapping[str, object] | object) -> str:
    """Return compact JSON that no HTML parser takes for markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(ESCAPES)


def _asset(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")
