"""Which groups of layers a space has, when they are there, and in which schemes runtimes can run them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwloop.exporter.quantize.groups import Granularity, policy_groups
from hwloop.exporter.quantize.layers import layers_of
from hwloop.exporter.quantize.support import unsupported
from hwloop.records import Arch, Scheme
from hwloop.records.candidate import Value
from hwloop.search.genome import Genome
from hwloop.search.sampling import varied
from hwloop.search.spaces.base import Setting, Space, Supernet
from hwloop.search.spaces.choices import Choices
from hwloop.search.subnets import export_subnets, layer_names

ALL_SCHEMES = tuple(Scheme)


def genome_of(
    space: Space,
    runtimes: Sequence[str],
    granularity: Granularity | str = Granularity.BLOCK,
    schemes: Sequence[Scheme] = ALL_SCHEMES,
    *,
    sizes: Mapping[str, int] | None = None,
) -> Genome:
    """Return the genome of a space's networks and of the schemes that every one of the runtimes can run.

    With (fp32,) as the only scheme it is that of the architecture alone.

    Raises:
        UsageError: there is no such granularity, or the space takes no such sizes.
    """
    outline = space.outline()
    groups = policy_groups(layer_names(outline), granularity)
    wanted = tuple(dict.fromkeys((Scheme.FP32, *schemes)))
    if len(wanted) == 1:
        return Genome(space.name, space.choices)
    seen = Sightings.of(space, outline, space.setting(**(sizes or {})))
    allowed, needs = {}, {}
    for group, layers in groups.items():
        there = [layer for layer in layers if layer in seen.kinds]
        if there:
            allowed[group] = runnable(wanted, runtimes, {layer: seen.kinds[layer] for layer in there})
            needs[group] = seen.needs(there)
    # A group without a choice is in fp32 by not standing in a policy.
    open_groups = {group: some for group, some in allowed.items() if len(some) > 1}
    return Genome(space.name, space.choices, open_groups, {group: needs[group] for group in open_groups})


def runnable(schemes: Sequence[Scheme], runtimes: Sequence[str], kinds: Mapping[str, str]) -> tuple[Scheme, ...]:
    """Return the schemes that every runtime can run on layers of these kinds, by name."""
    return tuple(
        scheme
        for scheme in schemes
        if not any(unsupported(runtime, dict.fromkeys(kinds, scheme), kinds) for runtime in runtimes)
    )


@dataclass(frozen=True)
class Sightings:
    """The layers of some subnets of a space: the largest, and those that differ from it in one choice."""

    choices: Choices
    layers: dict[Arch, frozenset[str]]
    kinds: dict[str, str]  # a layer's operator in ONNX

    @classmethod
    def of(cls, space: Space, outline: Supernet, setting: Setting) -> Sightings:
        """Export subnets without weights and read their layers; where new ones show, so do the neighbours."""
        found = cls(space.choices, {}, {})
        found._look(outline, setting, space.choices.largest)
        centres = [space.choices.largest]
        for centre in centres:
            for arch in _one_changed(space.choices, centre):
                known = len(found.kinds)
                found._look(outline, setting, arch)
                if len(found.kinds) > known:
                    centres.append(arch)
        return found

    def _look(self, outline: Supernet, setting: Setting, arch: Arch) -> None:
        if arch not in self.layers:
            subnets = export_subnets(outline, arch, setting)
            kinds = {layer.name: layer.kind for subnet in subnets for layer in layers_of(subnet.model)}
            self.kinds.update(kinds)
            self.layers[arch] = frozenset(kinds)

    def needs(self, layers: Sequence[str]) -> dict[str, tuple[Value, ...]]:
        """Return which values choices must have for any of these layers to be there; the others do not matter.

        What is there under one condition or another is told by the first that was seen: elsewhere it stays fp32.
        """
        base = next(arch for arch, there in self.layers.items() if not there.isdisjoint(layers))
        without = [arch for arch in _one_changed(self.choices, base) if self.layers[arch].isdisjoint(layers)]
        needed: dict[str, tuple[Value, ...]] = {}
        for choice in self.choices:
            changed = {arch.choices.get(choice.name) for arch in without} - {base.choices.get(choice.name), None}
            missing = changed if choice.name in base.choices else set()
            if missing:
                needed[choice.name] = tuple(value for value in choice.values if value not in missing)
        return needed


def _one_changed(choices: Choices, arch: Arch) -> Iterator[Arch]:
    """Yield the points that differ from one in one choice, and in what that brings with it, as the rules allow."""
    for choice in choices:
        for value in choice.values:
            if choice.name in arch.choices and value != arch.choices[choice.name]:
                yield from varied(choices, {**arch.choices, choice.name: value})
