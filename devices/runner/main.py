"""The runner's roles."""

from __future__ import annotations

import sys

from .agent import serve_agent
from .duel import serve_duel
from .runtimes import RUNTIMES
from .zygote import serve_zygote

USAGE = """The one file that hwloop runs on a device.

    runner.pyz agent CACHE                       files, facts, the lease: a JSON request a line in, a reply a line out
    runner.pyz zygote CACHE RUNTIME DIR [LEASE]  imports a runtime once, then forks a fresh process for each job
    runner.pyz duel CACHE [LEASE]                times processes in turns, to compare them

Each ends when its standard input or its lease ends, and takes everything that it started with it."""


def main(arguments: list[str]) -> None:
    """Take the role that the arguments name."""
    if len(arguments) == 2 and arguments[0] == "agent":
        serve_agent(arguments[1])
    elif len(arguments) in (4, 5) and arguments[0] == "zygote" and arguments[2] in RUNTIMES:
        serve_zygote(*arguments[1:])
    elif len(arguments) in (2, 3) and arguments[0] == "duel":
        serve_duel(*arguments[1:])
    else:
        sys.exit(USAGE)
