"""Greedy decoding: torch with a cache, torch without one, and ONNX Runtime write the same tokens."""

import numpy as np
import pytest
import torch

from hwloop.search.calibration import calibration_batches
from hwloop.search.decoding import OnnxWriter
from hwloop.search.judging import subnet_outputs
from hwloop.search.subnets import export_subnets
from hwloop.search.tokens import END, PAD, START
from hwloop.testing.translation import LONGEST, TINY_TRANSLATORS

STEPS = LONGEST + 1
ENDS = pytest.mark.parametrize("end", ["smallest", "largest"])


def without_cache(supernet, source, steps):
    """Greedy decoding by the book: the whole target again for each token."""
    target = torch.full((len(source), 1), START)
    for _ in range(steps):
        target = torch.cat([target, supernet(source, target)[:, -1:].argmax(dim=-1)], dim=1)
    written = target[:, 1:]
    after = (written == END).cumsum(dim=1) - (written == END).int() > 0
    return torch.where(after, PAD, written)


@ENDS
def test_the_cache_changes_no_token(translators, dictionary, end):
    arch = getattr(TINY_TRANSLATORS.choices, end)
    found = subnet_outputs(translators, arch, dictionary)
    source = torch.from_numpy(dictionary.eval.inputs["source"])
    with torch.no_grad():
        np.testing.assert_array_equal(found, without_cache(translators, source, STEPS).numpy())


@ENDS
@pytest.mark.parametrize("batch", [1, 6])
def test_what_ships_writes_the_same_tokens(translators, dictionary, end, batch):
    arch = getattr(TINY_TRANSLATORS.choices, end)
    wanted = subnet_outputs(translators, arch, dictionary)
    models = [one.model for one in export_subnets(translators, arch, TINY_TRANSLATORS.setting(batch=batch))]
    writer = OnnxWriter(*models)
    assert writer.batch == batch
    sources = dictionary.eval.inputs["source"]
    for start in range(0, len(sources), batch):
        rows = slice(start, start + batch)
        np.testing.assert_array_equal(writer.write(sources[rows], STEPS), wanted[rows])
    assert (wanted == END).any(axis=1).mean() > 0.5  # it has learned that sentences end


def test_calibration_sees_every_part_as_it_is_used(translators, dictionary):
    setting = TINY_TRANSLATORS.setting(batch=3)
    batches = calibration_batches(TINY_TRANSLATORS, translators, setting, dictionary.train.take(slice(10)))
    encoder, step = translators.parts(setting)
    sources = [batch for batch in batches if list(batch) == ["source"]]
    steps = [batch for batch in batches if list(batch) != ["source"]]
    assert len(sources) == len(steps) == 3
    for part, found in ((encoder, sources), (step, steps)):
        for batch in found:
            assert {spec.name: (spec.dtype, spec.shape) for spec in part.inputs} == {
                name: (value.dtype.name, value.shape) for name, value in batch.items()
            }
    for batch in steps:
        place = int(batch["position"][0])
        written = np.abs(batch["past_keys_0"]).sum(axis=(0, 1, 2)) > 0
        assert written.tolist() == [number < place for number in range(STEPS)]
        assert (batch["token"] == START).all() == (place == 0)
