"""Predicted against measured, as an SVG drawing that needs nothing else."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from hwloop.errors import UsageError
from hwloop.learning.evaluating import Evaluation

SIZE, LEFT, TOP = 560, 80, 50  # of the square, and around it, in pixels
TICKS = (1, 2, 5)
SUFFIXES = (".svg", ".html")
STYLE = (
    "text{font:13px sans-serif;fill:#333} .frame{fill:none;stroke:#999} .grid{stroke:#e4e4e4}"
    " .equal{stroke:#333} .near{stroke:#333;stroke-dasharray:4 4;opacity:.5} .bar{stroke:#2a6f97;opacity:.35}"
    " circle{fill:#2a6f97;opacity:.75} .novel{fill:#c8553d}"
)


def refuse_strange_picture(path: Path) -> None:
    """Raise UsageError unless a file's name ends as that of a drawing does."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--picture {path}: there is no such kind", remedy=f"Name it {' or '.join(SUFFIXES)}.")


def write_picture(evaluation: Evaluation, title: str, path: Path) -> None:
    """Write the drawing as .svg, or in a page as .html; a point's name shows under the pointer.

    Raises:
        UsageError: the file's name ends otherwise.
    """
    refuse_strange_picture(path)
    drawing = svg(evaluation, title)
    page = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>\n{drawing}\n'
    path.write_text(drawing if path.suffix == ".svg" else page)


def svg(evaluation: Evaluation, title: str) -> str:
    """Return the drawing: logarithmic axes, 90 % intervals, the line of equality and those of 10 % off."""
    found = evaluation.predicted
    ends = [*evaluation.measured.tolist(), *found.mean_ms.tolist()]
    low, high = math.log10(min(ends)), math.log10(max(ends))
    margin = 0.05 * (high - low) + 0.01
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return SIZE * (min(max(math.log10(value), low), high) - low) / (high - low)

    def x(value: float) -> float:
        return round(LEFT + place(value), 1)

    def y(value: float) -> float:
        return round(TOP + SIZE - place(value), 1)

    def line(kind: str, ends: tuple[float, float, float, float]) -> str:
        x1, y1, x2, y2 = ends
        return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'

    first, last = 10**low, 10**high
    marks = [f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{SIZE}" height="{SIZE}"/>']
    for tick in _ticks(first, last):
        marks += [
            line("grid", (x(tick), TOP, x(tick), TOP + SIZE)),
            line("grid", (LEFT, y(tick), LEFT + SIZE, y(tick))),
        ]
        marks.append(f'<text x="{x(tick)}" y="{TOP + SIZE + 18}" text-anchor="middle">{tick:g}</text>')
        marks.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    marks.append(line("equal", (x(first), y(first), x(last), y(last))))
    marks.append(line("near", (x(first), y(first * 1.1), x(last / 1.1), y(last))))
    marks.append(line("near", (x(first * 1.1), y(first), x(last), y(last / 1.1))))
    for row, name in enumerate(evaluation.names):
        measured, mean = float(evaluation.measured[row]), float(found.mean_ms[row])
        bottom, top = float(found.low_ms[row]), float(found.high_ms[row])
        label = f"{name}: measured {measured:.4g}, predicted {mean:.4g} ({bottom:.4g} to {top:.4g}) {evaluation.unit}"
        kind = ' class="novel"' if found.novel[row] else ""
        marks.append(line("bar", (x(measured), y(bottom), x(measured), y(top))))
        marks.append(f'<circle{kind} cx="{x(measured)}" cy="{y(mean)}" r="4"><title>{escape(label)}</title></circle>')
    middle = LEFT + SIZE / 2
    marks.append(f'<text x="{LEFT}" y="24">{escape(title)}</text>')
    marks.append(f'<text x="{LEFT}" y="41">{escape(_summary(evaluation))}</text>')
    marks.append(f'<text x="{middle}" y="{TOP + SIZE + 40}" text-anchor="middle">measured, {evaluation.unit}</text>')
    turned = f'transform="translate(18 {TOP + SIZE / 2}) rotate(-90)"'
    marks.append(f'<text {turned} text-anchor="middle">predicted, {evaluation.unit}</text>')
    width, height = LEFT + SIZE + 30, TOP + SIZE + 55
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    body = "\n".join(marks)
    return f'{head}\n<style>{STYLE}</style>\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'


def _summary(evaluation: Evaluation) -> str:
    scores = evaluation.figures
    return (
        f"{evaluation.tested} tested, {evaluation.trained} learned from: MAPE {scores['mape_percent']:.1f} %, within"
        f" 10 % {scores['within_10_percent']:.0f} %, interval holds {scores['coverage_percent']:.0f} %"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two; more of them where the ends are close."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (TICKS if high / low > 4 else range(1, 10))]
    return [tick for tick in ticks if low <= tick <= high]
