"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import math
import sys

from hwloop.errors import ConfigError, HwloopError, InfrastructureError

BAD_RESULT, BAD_USAGE, DEVICE_FAILED = 1, 2, 3


def print_json(value: object) -> None:
    """Print one JSON document on standard output; JSON knows no infinity and no NaN, which become null."""
    json.dump(_finite(value), sys.stdout, indent=2, ensure_ascii=False)
    print()


def _finite(value: object) -> object:
    """Return `value` with null for numbers that JSON has not."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """Print a line on standard error."""
    print(text, file=sys.stderr, flush=True)


def report_error(error: HwloopError) -> int:
    """Print an error with its remedy on standard error; return the exit code that stands for it."""
    for line in error_lines(error):
        say(line)
    return DEVICE_FAILED if isinstance(error, InfrastructureError) else BAD_USAGE


def error_lines(error: HwloopError) -> list[str]:
    """Return what a user reads of an error."""
    lines = [f"error: {error}"]
    if isinstance(error, ConfigError):
        for problem in error.problems:
            place = f"  line {problem.line}: " if problem.line else "  "
            what = f"{problem.path}: " if problem.path else ""
            value = f" ({problem.value})" if problem.value else ""
            lines.append(f"{place}{what}{problem.message}{value}")
            if problem.remedy:
                lines.append(f"    {problem.remedy}")
    if error.remedy:
        lines.append(f"  {error.remedy}")
    return lines
