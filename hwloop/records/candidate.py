"""What a search chooses: an architecture, and how each of its layers is quantized."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

from hwloop.digests import digest_json
from hwloop.errors import UsageError

Value = int | float | str | bool
EVERY_LAYER = "*"


class Scheme(StrEnum):
    """How a layer's weights and activations are stored and multiplied."""

    FP32 = "fp32"
    INT8_DYNAMIC = "int8-dynamic"
    INT8_STATIC = "int8-static"
    INT4_WEIGHT = "int4-weight"


@dataclass(frozen=True)
class Arch:
    """One point of a space: the value of every choice that counts, by the choice's name."""

    choices: Mapping[str, Value]

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", MappingProxyType(dict(sorted(self.choices.items()))))

    def __getitem__(self, choice: str) -> Value:
        return self.choices[choice]

    def __hash__(self) -> int:
        return hash(tuple(self.choices.items()))

    def __reduce__(self) -> tuple[type[Arch], tuple[dict[str, Value]]]:
        return Arch, (dict(self.choices),)  # a read-only view cannot be pickled

    @cached_property
    def digest(self) -> str:
        """The canonical digest: equal for equal choices, whatever their order."""
        return digest_json(dict(self.choices))


@dataclass(frozen=True)
class QuantPolicy:
    """A scheme for each layer, by rules: `*` is every layer, a block's name all layers in it, a layer's name itself.

    The longest name that fits a layer decides; where none does, it stays fp32.
    """

    rules: Mapping[str, Scheme] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = {name: scheme_named(scheme, f"policy: {name}: ") for name, scheme in sorted(self.rules.items())}
        object.__setattr__(self, "rules", MappingProxyType(rules))

    def __hash__(self) -> int:
        return hash(tuple(self.rules.items()))

    def __reduce__(self) -> tuple[type[QuantPolicy], tuple[dict[str, Scheme]]]:
        return QuantPolicy, (dict(self.rules),)

    def scheme(self, layer: str) -> Scheme:
        """Return the scheme of a layer."""
        name = layer
        while name not in self.rules:
            name, dot, _ = name.rpartition(".")
            if not dot:
                return self.rules.get(EVERY_LAYER, Scheme.FP32)
        return self.rules[name]

    def resolved(self, layers: Iterable[str]) -> dict[str, Scheme]:
        """Return the scheme of each layer of a model.

        Raises:
            UsageError: a rule names neither a layer nor a block of the model.
        """
        layers = list(layers)
        strangers = [rule for rule in self.rules if rule != EVERY_LAYER and not _known(rule, layers)]
        if strangers:
            raise UsageError(
                f"policy: there is no layer or block {strangers[0]!r}",
                remedy=f"The layers are {', '.join(layers)}.",
            )
        return {layer: self.scheme(layer) for layer in layers}

    @property
    def digest(self) -> str:
        """The canonical digest of the rules as they stand."""
        return digest_json(self.as_json())

    def as_json(self) -> dict[str, str]:
        """Return the JSON form: a scheme by rule."""
        return {name: scheme.value for name, scheme in self.rules.items()}


@dataclass(frozen=True)
class Candidate:
    """An architecture of a space, by the space's name, and its quantization."""

    space: str
    arch: Arch
    policy: QuantPolicy = field(default_factory=QuantPolicy)

    @cached_property
    def digest(self) -> str:
        """The canonical digest of the three."""
        return digest_json(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, which is the form of a candidate's file, too."""
        return {"space": self.space, "arch": dict(self.arch.choices), "policy": self.policy.as_json()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Candidate:
        """Return what `as_json` gave the JSON form of.

        Raises:
            KeyError, TypeError: this is no candidate's form.
            UsageError: its policy has an unknown scheme.
        """
        return cls(found["space"], Arch(found["arch"]), QuantPolicy(found["policy"]))


def scheme_named(word: str, place: str = "") -> Scheme:
    """Return a scheme by its name; `place` is where the name stands, for the error.

    Raises:
        UsageError: there is no such scheme.
    """
    try:
        return Scheme(word)
    except ValueError:
        raise UsageError(f"{place}{word!r} is no scheme", remedy=f"Use one of {', '.join(Scheme)}.") from None


def _known(rule: str, layers: Iterable[str]) -> bool:
    return any(layer == rule or layer.startswith(f"{rule}.") for layer in layers)
