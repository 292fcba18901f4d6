"""Points of choices as rows of whole numbers, so that thousands are moved and encoded at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from hwloop.records import Arch
from hwloop.records.candidate import Value
from hwloop.search.spaces.choices import Choice, Choices

ABSENT = -1


class Coding:
    """Codes [points, choices] of int64: the place of each choice's value among its values, or `ABSENT`."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._columns = {choice.name: column for column, choice in enumerate(choices)}
        self._places = [{value: place for place, value in enumerate(choice.values)} for choice in choices]
        self._sizes = np.array([len(choice.values) for choice in choices])

    def codes(self, archs: Sequence[Arch]) -> np.ndarray:
        """Return the codes of points."""
        rows = [[self._place(choice, column, arch.choices) for choice, column in self._each()] for arch in archs]
        return np.array(rows, np.int64).reshape(len(archs), len(self._sizes))

    def arch(self, codes: np.ndarray) -> Arch:
        """Return the point of one row of codes."""
        return Arch(
            {
                one.name: one.values[place]
                for one, place in zip(self._choices, codes.tolist(), strict=True)
                if place != ABSENT
            }
        )

    # ── moves ──

    def sample(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Return codes of points with each choice drawn uniformly; fewer where some broke the rules."""
        return self._kept(self._drawn(count, random), random)

    def children(
        self, ones: np.ndarray, others: np.ndarray, crossing: float, rate: float, random: np.random.Generator
    ) -> np.ndarray:
        """Return codes of children [at most pairs, choices] of pairs of parents.

        A share `crossing` takes each choice from either parent, the rest are the one. Each choice is then drawn anew
        with probability `rate`, and at least one is. Children that break the rules are left out.
        """
        crossed = random.random((len(ones), 1)) < crossing
        from_other = crossed & (random.random(ones.shape) < 0.5) & (others != ABSENT)
        children = np.where(from_other | (ones == ABSENT), others, ones)
        changed = random.random(children.shape) < rate
        changed[np.arange(len(children)), self._sure(children, random)] = True
        return self._kept(np.where(changed & (children != ABSENT), self._others(children, random), children), random)

    def _sure(self, codes: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return for each row the column of a choice that counts and has several values, if there is one."""
        may = (codes != ABSENT) & (self._sizes > 1)
        return np.asarray(np.where(may, random.random(codes.shape), -1).argmax(axis=1))

    def _others(self, codes: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return another value for each code; the same where there is but one."""
        steps = 1 + (random.random(codes.shape) * (self._sizes - 1)).astype(np.int64)
        return np.asarray((codes + steps) % self._sizes)

    def _drawn(self, count: int, random: np.random.Generator) -> np.ndarray:
        return np.asarray(random.random((count, len(self._sizes))) * self._sizes).astype(np.int64)

    def _kept(self, codes: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return rows in which what counts is there and nothing else, without those that break the rules."""
        codes, drawn = codes.copy(), self._drawn(len(codes), random)
        for choice, column in self._each():
            counts = np.ones(len(codes), bool)
            for name, values in choice.needs.items():
                needed = self._columns[name]
                places = [place for value, place in self._places[needed].items() if value in values]
                counts &= np.isin(codes[:, needed], places)
            codes[:, column] = np.where(codes[:, column] == ABSENT, drawn[:, column], codes[:, column])
            codes[~counts, column] = ABSENT
        return np.asarray(codes[self._holds(codes)])

    def _holds(self, codes: np.ndarray) -> np.ndarray:
        holds = np.ones(len(codes), bool)
        for rule in self._choices.rules:
            columns = [self._columns[name] for name in rule.choices]
            kinds, kind = np.unique(codes[:, columns], axis=0, return_inverse=True)
            values = [
                [self._choices[name].values[place] for name, place in zip(rule.choices, row, strict=True)]
                for row in kinds
            ]
            good = [ABSENT in row or bool(rule.holds(*some)) for row, some in zip(kinds, values, strict=True)]
            holds &= np.array(good, bool)[kind.reshape(-1)]
        return holds

    # ── for models ──

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of the columns of an encoding."""
        return tuple(name for choice in self._choices for name in _feature_names(choice))

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """Return codes as float64 [points, features], all within 0 and 1; different points differ.

        A choice of numbers is its value's place among the choice's values, one of words a column for each; a choice
        that may be missing has a column that says so.
        """
        return np.hstack([table[codes[:, column]] for column, table in enumerate(self._tables)])

    @cached_property
    def _tables(self) -> list[np.ndarray]:
        """For each choice its features [values + 1, columns]; the last row is that of `ABSENT`."""
        tables = []
        for choice in self._choices:
            count, optional = len(choice.values), int(bool(choice.needs))
            there = np.linspace(0, 1, count)[:, None] if _is_numeric(choice) else np.eye(count)
            table = np.zeros((count + 1, there.shape[1] + optional))
            table[:count, : there.shape[1]] = there
            table[count, there.shape[1] :] = 1
            tables.append(table)
        return tables

    def _each(self) -> list[tuple[Choice, int]]:
        return list(zip(self._choices, range(len(self._sizes)), strict=True))

    def _place(self, choice: Choice, column: int, chosen: Mapping[str, Value]) -> int:
        return self._places[column][chosen[choice.name]] if choice.name in chosen else ABSENT


def _feature_names(choice: Choice) -> list[str]:
    words = [choice.name] if _is_numeric(choice) else [f"{choice.name}={value}" for value in choice.values]
    return [*words, *([f"no {choice.name}"] if choice.needs else [])]


def _is_numeric(choice: Choice) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in choice.values)
