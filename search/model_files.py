"""Whatever may stand where a model is asked for (an ONNX file, a candidate, a sample of a space), as ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from hwloop.errors import UsageError
from hwloop.records import Candidate, QuantPolicy

if TYPE_CHECKING:
    from hwloop.search.exports import CandidateExporter
    from hwloop.search.spaces.base import Space
    from hwloop.search.subnets import Subnet

SIZES = ("batch", "length", "resolution", "steps")


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file; of a candidate, one of its parts, which counts `repeats` times in its latency."""

    path: Path
    candidate: Candidate | None = None
    part: str = ""
    repeats: int = 1


@dataclass(frozen=True)
class Numbers:
    """Where the numbers in exported candidates come from.

    `weights` are `random` (drawn from `seed`), `pretrained`, or the path of a supernet's checkpoint. Ranges for
    int8-static are found by `method` on `samples`, an .npz file, or else on inputs made up from `seed`.
    """

    weights: str = "random"
    seed: int = 0
    samples: Path | None = None
    method: str = "min-max"


def is_candidate(word: str) -> bool:
    """Return whether a word names candidates, by a file or by `SPACE@SAMPLE`, and no ONNX file."""
    return word.endswith((".yaml", ".yml", ".json")) or ("@" in word and not word.endswith(".onnx"))


def named_candidates(word: str) -> list[Candidate]:
    """Return the candidates that a word names.

    Raises:
        UsageError: there is no such file or space, or a candidate is no point of its space.
    """
    from hwloop.search.candidate_files import parse_word, read_candidates

    return [parse_word(word)] if "@" in word else read_candidates(Path(word))


def sampled_candidates(space: str, count: int, seed: int, policy: QuantPolicy) -> list[Candidate]:
    """Return different samples of a space, each choice drawn uniformly.

    Raises:
        UsageError: there is no such space.
    """
    from hwloop.search.sampling import sample_distinct
    from hwloop.search.spaces.registry import load_space

    return [Candidate(space, arch, policy) for arch in sample_distinct(load_space(space).choices, count, Random(seed))]


def write_candidates(
    candidates: Sequence[Candidate],
    folder: Path,
    sizes: Mapping[str, int],
    numbers: Numbers,
    *,
    exported: Callable[[int], None] = lambda _count: None,
) -> list[ModelFile]:
    """Export candidates into a folder; `exported` hears how many are done.

    A file is named after its space, the candidate's digest and the part. `sizes` are some of `SIZES`.

    Raises:
        UsageError: a size that a space does not take; a policy, weights or samples that do not fit.
        FetchError: pretrained weights could not be fetched.
        ModelError: a subnet has no ONNX form.
    """
    exporters: dict[str, tuple[Space, CandidateExporter]] = {}
    files = []
    for number, candidate in enumerate(dict.fromkeys(candidates), 1):
        if candidate.space not in exporters:
            exporters[candidate.space] = _exporter(candidate.space, sizes, numbers)
        space, exporter = exporters[candidate.space]
        files += write_subnets(candidate, space.name, exporter.export(candidate), folder)
        exported(number)
    return files


def write_subnets(candidate: Candidate, space: str, subnets: Iterable[Subnet], folder: Path) -> list[ModelFile]:
    """Write a candidate's exported parts into a folder, as files named after the space's name and the candidate."""
    files = []
    for subnet in subnets:
        words = [f"{space}-{candidate.digest[:8]}", *([subnet.part] if subnet.part else [])]
        path = folder / f"{'.'.join(words)}.onnx"
        path.write_bytes(subnet.model.SerializeToString())
        files.append(ModelFile(path, candidate, subnet.part, subnet.repeats))
    return files


def split_sizes(shapes: Mapping[str, int], candidates: Iterable[Candidate]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the sizes that candidates are exported with, and those that are left for ONNX files."""
    mine = {name: size for name, size in shapes.items() if name in SIZES} if list(candidates) else {}
    return mine, {name: size for name, size in shapes.items() if name not in mine}


def _exporter(name: str, sizes: Mapping[str, int], numbers: Numbers) -> tuple[Space, CandidateExporter]:
    from hwloop.exporter.quantize.samples import Samples
    from hwloop.search.checkpoints import supernet_with
    from hwloop.search.exports import CandidateExporter, part_batches
    from hwloop.search.spaces.registry import load_space

    unknown = sorted(set(sizes) - set(SIZES))
    if unknown:
        raise UsageError(f"there is no size {unknown[0]!r}", remedy=f"The sizes are {', '.join(SIZES)}.")
    space = load_space(name)
    setting = space.setting(**sizes)
    supernet = supernet_with(space, numbers.weights, numbers.seed)
    batches = part_batches(Samples.load(numbers.samples), space, supernet, setting) if numbers.samples else []
    exporter = CandidateExporter(space, supernet, setting, batches=batches, method=numbers.method, seed=numbers.seed)
    return space, exporter
