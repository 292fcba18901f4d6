"""What stands where a command takes models: ONNX files, candidates, samples of a space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.errors import UsageError

if TYPE_CHECKING:
    from hwloop.measure.workload import Workload
    from hwloop.records import Candidate
    from hwloop.search.model_files import ModelFile, Numbers

MODEL_HELP = "ONNX files, candidates' files (.yaml, .json) or SPACE@SEED, SPACE@smallest, SPACE@largest."
WEIGHTS_HELP = "Of candidates: random (enough for latencies), pretrained, or a checkpoint's file."
POLICY_HELP = "For samples and ONNX files: fp32, int8-dynamic, int8-static or int4-weight; repeatable."
CALIBRATE_HELP = "Data for int8-static: an array for each input, whose first axis is the samples; else made-up inputs."
METHOD_HELP = "How ranges are taken from that data: min-max, percentile or entropy."


@dataclass(frozen=True)
class Asked:
    """What a user asked for: words, and samples of a space with a policy."""

    words: Sequence[str]
    space: str | None = None
    samples: int = 1
    policy: Sequence[str] = field(default_factory=tuple)
    weights: str = "random"
    seed: int = 0
    calibrate: Path | None = None
    method: str = "min-max"

    def numbers(self) -> Numbers:
        """Return where the candidates' numbers come from."""
        from hwloop.search.model_files import Numbers

        return Numbers(self.weights, self.seed, self.calibrate, self.method)

    def candidates(self) -> list[Candidate]:
        """Return the candidates among them.

        Raises:
            UsageError: nothing was asked for, or a word names no candidate.
        """
        from hwloop.search.candidate_files import parse_policy
        from hwloop.search.model_files import is_candidate, named_candidates, sampled_candidates

        if not self.words and not self.space:
            raise UsageError("no model is named", remedy="Name ONNX files or candidates, or a --space to sample.")
        if self.policy and not self.space and not self.paths():
            raise UsageError(
                "--policy is for samples of a --space and for ONNX files",
                remedy="A candidate's file has its own policy.",
            )
        found = [one for word in self.words if is_candidate(word) for one in named_candidates(word)]
        if self.space:
            found += sampled_candidates(self.space, self.samples, self.seed, parse_policy(self.policy))
        return found

    def paths(self) -> list[Path]:
        """Return the ONNX files among them."""
        from hwloop.search.model_files import is_candidate

        return [Path(word) for word in self.words if not is_candidate(word)]


@contextmanager
def workloads_for(
    asked: Asked, sizes: dict[str, int], inputs: dict[str, Path]
) -> Iterator[tuple[list[Workload], list[ModelFile]]]:
    """Yield what is to be measured, and the files that it came from; candidates' files are gone after the block.

    Raises:
        UsageError, ModelError: something cannot be measured; it is told before any device is touched.
    """
    from hwloop.measure.workload import load_workloads
    from hwloop.scratch import scratch_folder

    with scratch_folder("candidates") as folder:
        files, others = written_files(asked, folder, sizes)
        loaded = load_workloads([file.path for file in files], others, inputs, asked.seed)
        yield [replace(one, candidate=file.candidate) for one, file in zip(loaded, files, strict=True)], files


def written_files(asked: Asked, folder: Path, sizes: dict[str, int]) -> tuple[list[ModelFile], dict[str, int]]:
    """Write what was asked for into a folder; return it, and the sizes that no candidate takes.

    ONNX files stay where they are unless there is a policy for them.

    Raises:
        UsageError, ModelError: something cannot be exported.
    """
    from hwloop.search.model_files import split_sizes

    candidates = asked.candidates()
    mine, others = split_sizes(sizes, candidates) if asked.paths() else (sizes, {})
    files = [*onnx_files(asked, folder, others), *_exported(candidates, folder, mine, asked.numbers())]
    return list({file.path: file for file in files}.values()), others


def onnx_files(asked: Asked, folder: Path, shapes: dict[str, int]) -> list[ModelFile]:
    """Return the ONNX files that were asked for; with a policy, as quantized files in a folder.

    Raises:
        UsageError, ModelError: a file cannot be quantized so.
    """
    from hwloop.search.model_files import ModelFile

    if not asked.policy or not asked.paths():
        return [ModelFile(path) for path in asked.paths()]
    from hwloop.exporter.quantize.files import quantize_file
    from hwloop.exporter.quantize.samples import Samples
    from hwloop.search.candidate_files import parse_policy

    policy = parse_policy(asked.policy)
    samples = Samples.load(asked.calibrate) if asked.calibrate else None
    return [
        ModelFile(quantize_file(path, folder, policy, shapes, samples, asked.method, asked.seed))
        for path in asked.paths()
    ]


def _exported(
    candidates: Sequence[Candidate], folder: Path, sizes: dict[str, int], numbers: Numbers
) -> list[ModelFile]:
    if not candidates:
        return []
    from hwloop.cli.progress import counted
    from hwloop.search.model_files import write_candidates

    with counted("exporting candidates", len(candidates)) as exported:
        return write_candidates(candidates, folder, sizes, numbers, exported=exported)


@contextmanager
def candidate_files(
    words: Sequence[str], sizes: dict[str, int], seed: int
) -> Iterator[tuple[dict[str, Path], dict[str, int]]]:
    """Yield the ONNX file of each word that names a candidate, and the sizes that are left for other files.

    Raises:
        UsageError: a word names several candidates, or one that has several parts.
    """
    from hwloop.scratch import scratch_folder
    from hwloop.search.model_files import Numbers, is_candidate, named_candidates, split_sizes

    named = {word: named_candidates(word) for word in words if is_candidate(word)}
    mine, others = split_sizes(sizes, [one for found in named.values() for one in found])
    with scratch_folder("candidates") as folder:
        files = {}
        for word, found in named.items():
            parts = _exported(found, folder, mine, Numbers(seed=seed))
            if len(parts) != 1:
                raise UsageError(
                    f"{word} is {len(parts)} models, and one is compared with one",
                    remedy=f"Write them with `hwloop export {word} --onnx FOLDER`, and compare two of the files.",
                )
            files[word] = parts[0].path
        yield files, others
