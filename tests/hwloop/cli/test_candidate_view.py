"""What is printed of candidates that are several models: latencies as sums, and whose part each measurement is."""

from pathlib import Path

import pytest

from hwloop.cli.candidate_view import part_sums, with_candidates
from hwloop.records import Arch, Candidate, Measurement, Summary, Verdict
from hwloop.search.model_files import ModelFile
from hwloop.testing.records import a_subject

CANDIDATE = Candidate("hat-small", Arch({"decoder.depth": 1}))
PARTS = {"encoder": 1, "decoder-step": 30}
FILES = {f"hat.{part}": ModelFile(Path(f"hat.{part}.onnx"), CANDIDATE, part, times) for part, times in PARTS.items()}


def measured(part, median_ms, verdict=Verdict.VALID):
    subject = a_subject(model=f"hat.{part}", device="here", runtime="onnxruntime", emulated=False)
    return Measurement("01", "", subject, verdict, (), Summary(samples=90, median_ms=median_ms))


def test_the_latency_of_a_translator_is_its_encoder_and_its_steps():
    (line,) = part_sums([measured("encoder", 2.0), measured("decoder-step", 0.5)], FILES)
    assert line == "hat on here with onnxruntime: 17.00 ms = encoder 2.000 ms + 30 x decoder-step 0.5000 ms"


def test_a_sum_with_a_part_that_is_not_trusted_says_so():
    (line,) = part_sums([measured("encoder", 2.0, Verdict.INVALID), measured("decoder-step", 0.5)], FILES)
    assert line.endswith("(no figure to trust: a part is not VALID)")


def test_a_sum_with_a_part_that_failed_is_none():
    (line,) = part_sums([measured("encoder", None, Verdict.FAILED), measured("decoder-step", 0.5)], FILES)
    assert line == "hat on here with onnxruntime: not all parts were measured"


@pytest.mark.parametrize("part", PARTS)
def test_an_item_has_its_candidate_part_and_repeats(part):
    (item,) = with_candidates([measured(part, 1.0)], FILES)
    assert (item["candidate"], item["part"], item["repeats"]) == (CANDIDATE.as_json(), part, PARTS[part])


def test_a_model_that_is_no_candidate_has_none_and_no_sum():
    files = {"hat.encoder": ModelFile(Path("hat.encoder.onnx"))}
    (item,) = with_candidates([measured("encoder", 1.0)], files)
    assert item["candidate"] is None and part_sums([measured("encoder", 1.0)], files) == []
