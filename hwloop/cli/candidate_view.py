"""What is said of candidates beside their measurements: which they are, and what their parts make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hwloop.cli import units
from hwloop.records import Measurement, Verdict

if TYPE_CHECKING:
    from hwloop.search.model_files import ModelFile


def with_candidates(measurements: Sequence[Measurement], files: Mapping[str, ModelFile]) -> list[dict[str, object]]:
    """Return the items that `--json` prints: measurements, each with its candidate (or null), part and repeats."""
    items = []
    for measurement in measurements:
        file = files[measurement.subject.model]
        candidate = file.candidate.as_json() if file.candidate else None
        items.append({**measurement.as_json(), "candidate": candidate, "part": file.part, "repeats": file.repeats})
    return items


def part_sums(measurements: Sequence[Measurement], files: Mapping[str, ModelFile]) -> list[str]:
    """Return a line for each candidate of several parts, device and runtime: the sum, each part as often as it runs."""
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for one in measurements:
        file = files[one.subject.model]
        if file.candidate and file.part:
            label = one.subject.model.removesuffix(f".{file.part}")
            groups.setdefault((label, one.subject.device, one.subject.runtime), []).append(one)
    return [_line(label, device, runtime, group, files) for (label, device, runtime), group in groups.items()]


def _line(label: str, device: str, runtime: str, parts: Sequence[Measurement], files: Mapping[str, ModelFile]) -> str:
    where = f"{label} on {device} with {runtime}"
    emulated = parts[0].subject.emulated
    found = [one.summary.insns_per_call if emulated else one.summary.median_ms for one in parts]
    repeats = [files[one.subject.model].repeats for one in parts]
    if any(value is None for value in found):
        return f"{where}: not all parts were measured"
    show = units.count if emulated else lambda value: f"{units.milliseconds(value)} ms"
    terms = [
        f"{f'{times} x ' if times > 1 else ''}{files[one.subject.model].part} {show(value)}"
        for one, value, times in zip(parts, found, repeats, strict=True)
    ]
    total = sum(value * times for value, times in zip(found, repeats, strict=True) if value is not None)
    doubt = "" if all(one.verdict is Verdict.VALID for one in parts) else " (no figure to trust: a part is not VALID)"
    return f"{where}: {show(total)} = {' + '.join(terms)}{doubt}"
