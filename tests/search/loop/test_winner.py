"""Which candidate of a search's front wins, by a rule in words."""

import pytest

from hwloop.errors import UsageError
from hwloop.records import Arch, Candidate
from hwloop.records.search import StoredSearch, Trial
from hwloop.search.loop.winner import Rule, winner


def trial(name, **values):
    return Trial(Candidate("s", Arch({"width": name})), {key.replace("_at_", "@"): one for key, one in values.items()})


QUICK = trial("quick", accuracy=0.8, latency=1.0, size=300.0)
SMALL = trial("small", accuracy=0.85, latency=3.0, size=100.0)
GOOD = trial("good", accuracy=0.95, latency=9.0, size=900.0)


def found(*trials, devices=("here",), finished=True):
    front = [{"again": one.as_json()} for one in trials]
    return StoredSearch("id", "", {"devices": list(devices)}, (), {"front": front} if finished else None)


@pytest.mark.parametrize(
    ("words", "best"),
    [
        ("fastest", QUICK),
        ("smallest", SMALL),
        ("most accurate", GOOD),
        ("fastest with accuracy>=0.82", SMALL),
        ("fastest with accuracy>=90%", GOOD),
        ("most accurate with latency<=5ms, size<=200", SMALL),
    ],
)
def test_a_rule_names_the_winner(words, best):
    assert winner(found(QUICK, SMALL, GOOD), Rule.parse(words), None) == best


def test_of_several_devices_one_decides():
    one, other = trial("a", latency_at_x=1.0, latency_at_y=9.0), trial("b", latency_at_x=2.0, latency_at_y=3.0)
    search = found(one, other, devices=("x", "y"))
    assert winner(search, Rule.parse("fastest"), "x") == one
    assert winner(search, Rule.parse("fastest"), "y") == other
    with pytest.raises(UsageError, match="measured x, y, and not z"):
        winner(search, Rule.parse("fastest"), "z")


@pytest.mark.parametrize(
    ("search", "words", "why"),
    [
        (found(QUICK), "quickest", "cannot be read"),
        (found(QUICK), "fastest with accuracy>0.9", "cannot be read"),
        (found(QUICK), "fastest with accuracy>=0.9", "nothing on the front"),
        (found(trial("a", latency=1.0)), "fastest with accuracy>=0.9", "knows no accuracy"),
        (found(trial("a", latency=1.0)), "most accurate", "knows no accuracy"),
        (found(), "fastest", "found nothing"),
        (found(QUICK, finished=False), "fastest", "not finished"),
    ],
)
def test_where_there_is_no_winner_it_is_told_why(search, words, why):
    with pytest.raises(UsageError, match=why):
        winner(search, Rule.parse(words), None)
