"""Strategies by name."""

from __future__ import annotations

from importlib import import_module

from hwloop.errors import UsageError
from hwloop.search.genome import Genome
from hwloop.search.goals import Goal
from hwloop.search.strategies.base import Strategy

DEFAULT = "guided"
# Name, and where it stands: a file is imported only when its strategy is asked for.
STRATEGIES = {
    "random": "hwloop.search.strategies.random:RandomSearch",
    "evolutionary": "hwloop.search.strategies.evolutionary:Evolutionary",
    "nsga2": "hwloop.search.strategies.nsga2:Nsga2",
    "linas": "hwloop.search.strategies.linas:Linas",
    DEFAULT: "hwloop.search.strategies.guided:Guided",
}


def load_strategy(name: str, genome: Genome, goal: Goal, seed: int) -> Strategy:
    """Return a strategy by its name.

    Raises:
        UsageError: there is no such strategy.
    """
    if name not in STRATEGIES:
        raise UsageError(f"there is no strategy {name!r}", remedy=f"Use one of {', '.join(STRATEGIES)}.")
    module, _, attribute = STRATEGIES[name].partition(":")
    strategy: Strategy = getattr(import_module(module), attribute)(genome, goal, seed)
    return strategy
