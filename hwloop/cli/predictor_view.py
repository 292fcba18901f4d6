"""What `hwloop predictor` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hwloop.cli import units

if TYPE_CHECKING:
    from hwloop.learning.evaluating import Evaluation
    from hwloop.learning.saved import Predictor
    from hwloop.learning.totals import Figure

NAMES = {
    "mape_percent": "mean error (MAPE)",
    "within_5_percent": "within 5 %",
    "within_10_percent": "within 10 %",
    "rmse_ms": "root mean square error",
    "rmse_instructions": "root mean square error",
    "spearman": "Spearman",
    "kendall": "Kendall",
    "coverage_percent": "90 % interval holds",
    "mean_width_percent": "mean width of the interval",
}


def card_item(predictor: Predictor) -> dict[str, Any]:
    """Return what `--json` prints of a predictor; the digests of what it learned from are left to the file."""
    from hwloop.learning.saved import SCHEMA

    card = predictor.card.as_json()
    del card["learned"]
    scope = card.pop("scope")
    sources = [source_item(source) for source in predictor.sources]
    return {"schema": SCHEMA, **scope, "features": predictor.recipe.kind.value, **card, "sources": sources}


def source_item(source: Predictor) -> dict[str, Any]:
    """Return what a predictor's item says of one that it was learned from."""
    card = source.card
    return {**asdict(card.scope), "unit": card.scope.unit, "space": card.space, "rows": card.rows}


def card_lines(predictor: Predictor) -> list[str]:
    """Return what a user reads of a predictor."""
    item = card_item(predictor)
    emulated = " (emulated: instructions of a call, no times)" if item["emulated"] else ""
    weights = ", ".join(f"{name} {weight:.0%}" for name, weight in item["estimators"].items())
    lines = [
        f"device        {item['device']}, board {item['device_identity']}{emulated}",
        f"runtime       {item['runtime']} {item['runtime_version']}, threads {item['threads']}, batch {item['batch']}",
        f"predicts      {item['unit']}",
        f"space         {item['space'] or 'none: several, or plain ONNX files'}",
        f"features      {item['features']}",
        f"learned from  {item['rows']} models, the last measured {item['newest']}; seed {item['seed']}",
        *(f"and from      {_source_words(source)}" for source in item["sources"]),
        f"estimators    {weights}",
        f"written by    hwloop {item['hwloop']}, schema {item['schema']}",
    ]
    if item["errors"] is None:
        return [*lines, "cross-validated errors: too few rows to tell"]
    return [*lines, "cross-validated errors:", *_score_lines(item["errors"])]


def _source_words(source: Mapping[str, Any]) -> str:
    return (
        f"the predictor of {source['device']} with {source['runtime']} {source['runtime_version']}, threads"
        f" {source['threads']}, batch {source['batch']}: {source['rows']} models, in {source['unit']}"
    )


def evaluation_lines(found: Evaluation) -> list[str]:
    """Return what a user reads of an evaluation."""
    seeds = f", mean of {found.seeds} seeds" if found.seeds > 1 else ""
    head = f"{found.tested} models tested ({found.split}{seeds}), {found.trained} learned from"
    return [head, *_score_lines(found.figures)]


def figure_items(figures: Sequence[Figure], unit: str) -> list[dict[str, Any]]:
    """Return the items that `--json` prints of predictions."""
    return [
        {
            "model": one.name,
            f"predicted_{unit}": one.mean,
            f"interval90_{unit}": [one.low, one.high],
            "novel": one.novel,
            "candidate": one.candidate.as_json() if one.candidate else None,
            "part": one.part,
            "repeats": one.repeats,
            "sum_of": list(one.parts),
        }
        for one in figures
    ]


def figure_lines(figures: Sequence[Figure], unit: str) -> list[str]:
    """Return a line for each prediction."""
    width = max(len(one.name) for one in figures)
    lines = []
    for one in figures:
        low, mean, high = (_value(value, unit) for value in (one.low, one.mean, one.high))
        notes = [f"x {one.repeats}"] if one.repeats > 1 else []
        notes += ["sum of its parts"] if one.parts else []
        notes += ["unlike what was measured"] if one.novel else []
        lines.append(f"{one.name:<{width}}  {mean} {unit} ({low} to {high})  {', '.join(notes)}".rstrip())
    return lines


def _score_lines(scores: Mapping[str, float]) -> list[str]:
    lines = []
    for name, words in NAMES.items():
        if name in scores:
            value = scores[name]
            percent = name.endswith("percent")
            unit = name.removeprefix("rmse_") if name.startswith("rmse_") else ""
            shown = f"{value:.1f} %" if percent else f"{_value(value, unit)} {unit}" if unit else f"{value:.3f}"
            lines.append(f"  {words:<28}{shown}")
    return lines


def _value(value: float, unit: str) -> str:
    return units.milliseconds(value) if unit == "ms" else units.count(value)
