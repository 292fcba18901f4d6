"""What is to be predicted: networks by their kernels, and by the candidates that they are parts of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwloop.records import Candidate, Kernel, TrainingRow


@dataclass(frozen=True)
class Network:
    """One ONNX graph, told without its weights; of a candidate, a part that counts `repeats` times."""

    name: str
    kernels: tuple[Kernel, ...]
    candidate: Candidate | None = None
    part: str = ""
    repeats: int = 1


def measured_networks(rows: Iterable[TrainingRow]) -> list[Network]:
    """Return the networks that were measured."""
    return [
        Network(
            row.facts.name, row.facts.costs.kernels, row.facts.candidate, _part(row.facts.name, row.facts.candidate)
        )
        for row in rows
    ]


def network_of_file(path: Path, shapes: Mapping[str, int]) -> Network:
    """Return the network of an ONNX file; `shapes` are the sizes of symbolic dimensions.

    Raises:
        ModelError: the file cannot be used, or a size is missing.
    """
    import onnx

    from hwloop.exporter.kernels import kernels_of
    from hwloop.exporter.model import load_model

    model = load_model(path, shapes)
    sizes = {f"{spec.name}:{axis}": size for spec in model.inputs for axis, size in enumerate(spec.shape)}
    graph = onnx.load(path, format="protobuf", load_external_data=False)
    return Network(path.stem, kernels_of(graph, {**model.dims, **sizes}))


class CandidateNetworks:
    """Candidates of one space as networks; those in fp32 need no weights, and the others get some from `seed`.

    `sizes` are some of batch, length, resolution and steps. Raises UsageError for a space that is not there.
    """

    def __init__(self, space: str, sizes: Mapping[str, int], seed: int = 0) -> None:
        from hwloop.search.exports import CandidateExporter
        from hwloop.search.spaces.registry import load_space

        self.space = load_space(space)
        self._setting = self.space.setting(**sizes)
        self._outline = self.space.outline()
        self._seed = seed
        self._exporter: CandidateExporter | None = None

    def of(self, candidate: Candidate) -> tuple[Network, ...]:
        """Return the candidate's parts.

        Raises:
            UsageError: the policy names a layer that is not there, or a size does not fit.
            ModelError: the candidate has no ONNX form here.
        """
        from hwloop.exporter.kernels import kernels_of
        from hwloop.search.exports import CandidateExporter
        from hwloop.search.subnets import export_subnets

        if candidate.policy.rules:
            self._exporter = self._exporter or CandidateExporter(
                self.space, self.space.supernet(self._seed), self._setting, seed=self._seed
            )
            subnets = self._exporter.export(candidate)
        else:
            subnets = export_subnets(self._outline, self.space.choices.arch(candidate.arch.choices), self._setting)
        label = f"{self.space.name}-{candidate.digest[:8]}"
        return tuple(
            Network(
                f"{label}.{subnet.part}" if subnet.part else label,
                kernels_of(subnet.model, {}),
                candidate,
                subnet.part,
                subnet.repeats,
            )
            for subnet in subnets
        )


def candidate_networks(candidates: Sequence[Candidate], sizes: Mapping[str, int]) -> list[Network]:
    """Return the parts of candidates of any spaces; errors as those of `CandidateNetworks`."""
    makers: dict[str, CandidateNetworks] = {}
    networks: list[Network] = []
    for candidate in dict.fromkeys(candidates):
        if candidate.space not in makers:
            makers[candidate.space] = CandidateNetworks(candidate.space, sizes)
        networks += makers[candidate.space].of(candidate)
    return networks


def _part(name: str, candidate: Candidate | None) -> str:
    """Return the part that a measured file was; files of candidates are named after their digests and parts."""
    return name.partition(f"-{candidate.digest[:8]}.")[2] if candidate else ""
