"""Named choices with rules: what a point of a space is, how many there are, and how to move between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random

from hwloop.errors import UsageError
from hwloop.records.candidate import Arch, Value

ATTEMPTS = 1000  # at a point that keeps the rules


@dataclass(frozen=True)
class Choice:
    """One choice: its values from the smallest network to the largest.

    It counts only where each choice in `needs` has one of the values given there; elsewhere an Arch leaves it out.
    """

    name: str
    values: tuple[Value, ...]
    needs: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """What several choices must keep together; `holds` takes their values in the order of `choices`."""

    choices: tuple[str, ...]
    holds: Callable[..., bool]
    message: str


@dataclass(frozen=True)
class Choices:
    """All choices of a space, and their rules. A choice stands after those that it needs."""

    choices: tuple[Choice, ...]
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for choice in self.choices:
            if choice.name in seen or not choice.values or not seen.issuperset(choice.needs):
                raise ValueError(f"choice {choice.name!r}: it stands twice, has no values, or needs a later choice")
            seen.add(choice.name)
        for rule in self.rules:
            if not seen.issuperset(rule.choices):
                raise ValueError(f"rule {rule.message!r} names a choice that is not there")

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.choices)

    def __getitem__(self, name: str) -> Choice:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Choice]:
        return {choice.name: choice for choice in self.choices}

    # ── points ──

    def arch(self, given: Mapping[str, object]) -> Arch:
        """Return the point that these values are; choices that do not count are left out.

        Raises:
            UsageError: a choice is missing, unknown or has a value that is not allowed, or a rule is broken; all of
                it is told at once.
        """
        problems = [f"there is no choice {name!r}" for name in given if name not in self._by_name]
        found: dict[str, Value] = {}
        for choice in self.choices:
            allowed = ", ".join(map(str, choice.values))
            value = _match(given[choice.name], choice.values) if choice.name in given else None
            if choice.name in given and value is None:
                problems.append(f"{choice.name}: {given[choice.name]!r} is not allowed; choose from {allowed}")
            elif value is None and self._counts(choice, found):
                problems.append(f"{choice.name} is missing; choose from {allowed}")
            elif value is not None and self._counts(choice, found):
                found[choice.name] = value
        problems += self._broken(found)
        if problems:
            names = ", ".join(choice.name for choice in self.choices)
            strange = any(name not in self._by_name for name in given)
            remedy = f"The choices are {names}." if strange else ""
            raise UsageError("architecture: " + "; ".join(problems), remedy=remedy)
        return Arch(found)

    @cached_property
    def largest(self) -> Arch:
        """The point with the last value of each choice."""
        return self._complete(lambda choice: choice.values[-1])

    @cached_property
    def smallest(self) -> Arch:
        """The point with the first value of each choice."""
        return self._complete(lambda choice: choice.values[0])

    def restricted(self, fixed: Mapping[str, Sequence[Value]]) -> Choices:
        """Return the choices with fewer values, in the order that they had.

        Raises:
            UsageError: a choice or a value is not there.
        """
        for name, values in fixed.items():
            if name not in self._by_name:
                names = ", ".join(self._by_name)
                raise UsageError(f"there is no choice {name!r}", remedy=f"The choices are {names}.")
            for value in values:
                if _match(value, self[name].values) is None:
                    allowed = ", ".join(map(str, self[name].values))
                    raise UsageError(f"{name}: {value!r} is not allowed", remedy=f"Choose from {allowed}.")
        kept = [
            replace(choice, values=tuple(value for value in choice.values if value in fixed[choice.name]))
            if choice.name in fixed
            else choice
            for choice in self.choices
        ]
        return Choices(tuple(kept), self.rules)

    # ── moves ──

    def sample(self, random: Random) -> Arch:
        """Return a point with each choice drawn uniformly, as weight-sharing searches do.

        Raises:
            UsageError: no point that keeps the rules was found.
        """
        return self.draw(lambda choice: random.choice(choice.values))

    def draw(self, value: Callable[[Choice], Value]) -> Arch:
        """Return a point whose values a function draws; it is asked anew until the rules are kept.

        Raises:
            UsageError: no point that keeps the rules was found.
        """
        return self._drawn(lambda: value)

    def mutate(self, arch: Arch, rate: float, random: Random) -> Arch:
        """Return a point in which each choice was drawn anew with probability `rate`, and at least one was.

        A point whose choices have but one value each is returned as it is.
        """
        names = [name for name in arch.choices if len(self[name].values) > 1]
        if not names:
            return arch

        def draw() -> Callable[[Choice], Value]:
            sure = random.choice(names)

            def value(choice: Choice) -> Value:
                known = arch.choices.get(choice.name)
                others = [one for one in choice.values if one != known]
                if known is None or (others and (choice.name == sure or random.random() < rate)):
                    return random.choice(others or choice.values)
                return known

            return value

        return self._drawn(draw)

    def cross(self, one: Arch, other: Arch, random: Random) -> Arch:
        """Return a point that takes each choice from one of two parents; one that neither has is drawn."""

        def value(choice: Choice) -> Value:
            known = [arch[choice.name] for arch in (one, other) if choice.name in arch.choices]
            return random.choice(known or choice.values)

        return self.draw(value)

    # ── all of them ──

    def points(self) -> Iterator[Arch]:
        """Yield every point once; the last choices vary fastest."""
        yield from self._points({}, 0)

    def _points(self, found: dict[str, Value], place: int) -> Iterator[Arch]:
        if self._broken(found):
            return
        if place == len(self.choices):
            yield Arch(found)
        elif self._counts(choice := self.choices[place], found):
            for value in choice.values:
                yield from self._points({**found, choice.name: value}, place + 1)
        else:
            yield from self._points(found, place + 1)

    def count(self) -> int:
        """Return how many points there are."""
        return self._count(frozenset(self._by_name), {})

    def _count(self, open_names: frozenset[str], fixed: dict[str, Value | None]) -> int:
        """Count the ways to settle `open_names`: parts that do not depend on each other multiply."""
        return math.prod(self._count_part(part, fixed) for part in self._parts(open_names))

    def _count_part(self, part: frozenset[str], fixed: dict[str, Value | None]) -> int:
        pivot = max(sorted(part), key=lambda name: len(self._neighbours[name] & part))
        # A choice can be settled only after those that say whether it counts.
        while pending := [name for name in self[pivot].needs if name in part]:
            pivot = pending[0]
        known = {name: value for name, value in fixed.items() if value is not None}
        values: tuple[Value | None, ...] = self[pivot].values if self._counts(self[pivot], known) else (None,)
        total = 0
        for value in values:
            settled = {**fixed, pivot: value}
            if not self._broken({name: one for name, one in settled.items() if one is not None}):
                total += self._count(part - {pivot}, settled)
        return total

    def _parts(self, names: frozenset[str]) -> Iterator[frozenset[str]]:
        """Yield the sets of open choices that bear on each other."""
        left = set(names)
        while left:
            part: set[str] = set()
            edge = {left.pop()}
            while edge:
                part |= edge
                edge = {near for name in edge for near in self._neighbours[name] if near in left}
                left -= edge
            yield frozenset(part)

    @cached_property
    def _neighbours(self) -> dict[str, set[str]]:
        groups = [(choice.name, *choice.needs) for choice in self.choices] + [rule.choices for rule in self.rules]
        near: dict[str, set[str]] = {choice.name: set() for choice in self.choices}
        for group in groups:
            for name in group:
                near[name] |= set(group) - {name}
        return near

    # ── what all of them need ──

    def _counts(self, choice: Choice, found: Mapping[str, Value]) -> bool:
        return all(name in found and found[name] in values for name, values in choice.needs.items())

    def _broken(self, found: Mapping[str, Value]) -> list[str]:
        return [
            f"{rule.message} ({', '.join(f'{name} is {found[name]}' for name in rule.choices)})"
            for rule in self.rules
            if all(name in found for name in rule.choices) and not rule.holds(*(found[name] for name in rule.choices))
        ]

    def _complete(self, value: Callable[[Choice], Value]) -> Arch:
        found: dict[str, Value] = {}
        for choice in self.choices:
            if self._counts(choice, found):
                found[choice.name] = value(choice)
        broken = self._broken(found)
        if broken:
            raise UsageError(f"architecture: {'; '.join(broken)}")
        return Arch(found)

    def _drawn(self, draw: Callable[[], Callable[[Choice], Value]]) -> Arch:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._complete(draw())
            except UsageError:
                continue
        return self._complete(draw())


def one_of(choice: str, values: Iterable[Value]) -> dict[str, tuple[Value, ...]]:
    """Return the `needs` of what counts only where a choice has one of some values."""
    return {choice: tuple(values)}


def _match(given: object, values: Sequence[Value]) -> Value | None:
    """Return the allowed value that a given one is; True is not 1."""
    return next((one for one in values if one == given and isinstance(given, bool) == isinstance(one, bool)), None)
