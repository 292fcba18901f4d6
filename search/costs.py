"""What a candidate costs wherever it runs, over all of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from hwloop.exporter.costs import costs_of
from hwloop.records import Arch
from hwloop.search.spaces.base import Setting, Supernet
from hwloop.search.subnets import Subnet, export_subnets


@dataclass(frozen=True)
class CandidateCosts:
    """Parameters and weights are those of all parts; operations count each part as often as it runs.

    `peak_activation_bytes` is that of the part which needs most.
    """

    parameters: int
    weight_bytes: int
    macs: int
    element_operations: int
    moved_bytes: int
    peak_activation_bytes: int

    def as_json(self) -> dict[str, int]:
        """Return the JSON form."""
        return asdict(self)


def candidate_costs(subnets: Sequence[Subnet]) -> CandidateCosts:
    """Return what an exported candidate costs, told from its graphs."""
    # Bytes of files are not asked for: counting them writes every weight once.
    found = [(costs_of(subnet.model, {}, file_bytes=0), subnet.repeats) for subnet in subnets]
    return CandidateCosts(
        parameters=sum(costs.parameters for costs, _ in found),
        weight_bytes=sum(costs.weight_bytes for costs, _ in found),
        macs=sum(costs.macs * repeats for costs, repeats in found),
        element_operations=sum(costs.element_operations * repeats for costs, repeats in found),
        moved_bytes=sum(costs.moved_bytes * repeats for costs, repeats in found),
        peak_activation_bytes=max(costs.peak_activation_bytes for costs, _ in found),
    )


def arch_costs(supernet: Supernet, arch: Arch, setting: Setting) -> CandidateCosts:
    """Return what a subnet costs in fp32; a supernet without weights (`Space.outline`) will do."""
    return candidate_costs(export_subnets(supernet, arch, setting))
