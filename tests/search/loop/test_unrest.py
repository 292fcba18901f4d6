"""A device whose figures can mostly not be trusted ends a search; one bad figure does not."""

import pytest

from hwloop.errors import DeviceRestless
from hwloop.records import Measurement, Verdict
from hwloop.records.measurement import Summary
from hwloop.search.loop.unrest import Unrest
from hwloop.testing.records import a_subject


def figure(verdict):
    reasons = ("foreign load",) if verdict is Verdict.INVALID else ()
    return Measurement("01", "", a_subject(), verdict, reasons, Summary(samples=9))


VALID, DOUBTFUL, FAILED = (figure(verdict) for verdict in (Verdict.VALID, Verdict.INVALID, Verdict.FAILED))


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


def test_devices_are_counted_apart(unrest):
    unrest.watch("pi", [DOUBTFUL, DOUBTFUL])
    unrest.watch("jetson", [DOUBTFUL, DOUBTFUL])
