"""Numbers with readable units, as tables show them; `-` where there is none."""

from __future__ import annotations

import math

NONE = "-"
COUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def milliseconds(value: float | None, like: float | None = None) -> str:
    """Return milliseconds, unit left out, with the decimals that suit `like` (itself if None)."""
    if value is None:
        return NONE
    return f"{value:.{_decimals(abs(value if like is None else like))}f}"


def median_and_half(median_ms: float | None, ci95_ms: tuple[float, float] | None) -> str:
    """Return a median and the longer half of its interval, both in milliseconds."""
    if median_ms is None:
        return NONE
    if ci95_ms is None:
        return f"{milliseconds(median_ms)} ± ?"
    half = max(median_ms - ci95_ms[0], ci95_ms[1] - median_ms)
    return f"{milliseconds(median_ms)} ±{milliseconds(half, like=median_ms)}"


def count(value: float | None) -> str:
    """Return a large count to four digits, as in `70.10 M`."""
    return NONE if value is None else _scaled(value, COUNTS)


def size(value_bytes: float | None) -> str:
    """Return a size to three digits, as in `3.10 MB`."""
    return NONE if value_bytes is None else _scaled(value_bytes, SIZES, digits=3)


def whole(value: float | None) -> str:
    """Return a number without decimals."""
    return NONE if value is None else f"{value:.0f}"


def error(value: float | None) -> str:
    """Return an error to two digits, as in `1.2e-06`."""
    if value is None:
        return NONE
    return "0" if value == 0 else f"{value:.1e}" if math.isfinite(value) else "infinite"


def _decimals(value: float) -> int:
    for decimals, limit in ((4, 1.0), (3, 10.0), (2, 100.0), (1, 1000.0)):
        if value < limit:
            return decimals
    return 0


def _scaled(value: float, units: tuple[tuple[float, str], ...], digits: int = 4) -> str:
    for factor, unit in units:
        if abs(value) >= factor:
            scaled = value / factor
            return f"{scaled:.{max(0, digits - len(str(int(abs(scaled)))))}f} {unit}"
    return f"{value:g}"
