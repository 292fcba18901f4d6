"""A device whose figures can mostly not be trusted ends a search; one bad figure does not."""

import pytest

from hwloop.errors import DeviceRestless
from hwloop.records import Measurement, Verdict
from hwloop.records.measurement import Summary
from hwloop.search.loop.unrest import Unrest
from hwloop.testing.records import a_subject
from hwloop.verdict import OUTPUTS_DIFFER


def figure(verdict, *reasons):
    return Measurement("01", "", a_subject(), verdict, reasons, Summary(samples=9))


VALID, FAILED = figure(Verdict.VALID), figure(Verdict.FAILED)
DOUBTFUL = figure(Verdict.INVALID, "foreign load")
WRONG = figure(Verdict.INVALID, f"{OUTPUTS_DIFFER} from the fp32 reference")


@pytest.fixture
def unrest():
    return Unrest()


def test_a_batch_that_is_mostly_doubtful_says_whose_it_is_and_why(unrest):
    with pytest.raises(DeviceRestless, match="most of its figures cannot be trusted: foreign load") as caught:
        unrest.watch("pi", [DOUBTFUL, VALID, DOUBTFUL, FAILED, DOUBTFUL])
    assert "pi" in str(caught.value)


def test_half_of_a_batch_may_be_doubtful(unrest):
    unrest.watch("pi", [DOUBTFUL, VALID] * 3)


def test_one_doubtful_figure_is_not_most_of_them(unrest):
    unrest.watch("pi", [DOUBTFUL])


def test_small_batches_count_together_while_all_are_doubtful(unrest):
    unrest.watch("pi", [DOUBTFUL])
    unrest.watch("pi", [DOUBTFUL])
    with pytest.raises(DeviceRestless):
        unrest.watch("pi", [DOUBTFUL])


def test_a_good_batch_forgives(unrest):
    unrest.watch("pi", [DOUBTFUL, DOUBTFUL])
    unrest.watch("pi", [VALID])
    unrest.watch("pi", [DOUBTFUL, DOUBTFUL])


def test_networks_that_are_computed_wrongly_do_not_count(unrest):
    unrest.watch("pi", [WRONG] * 9)
    unrest.watch("pi", [WRONG, WRONG, DOUBTFUL])
    unrest.watch("pi", [WRONG])
    with pytest.raises(DeviceRestless, match="foreign load"):
        unrest.watch("pi", [WRONG, WRONG, DOUBTFUL, DOUBTFUL])


def test_devices_are_counted_apart(unrest):
    unrest.watch("pi", [DOUBTFUL, DOUBTFUL])
    unrest.watch("jetson", [DOUBTFUL, DOUBTFUL])
