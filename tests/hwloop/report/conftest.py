"""Pages of a search and of a store to look at, with names as hostile as names can be."""

import pytest

from hwloop.report.search_page import Constraint, FrontRow, Objective, SearchPage, Told, Trial

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture
def hostile():
    """A name that would be run, were it taken for markup."""
    return HOSTILE


@pytest.fixture
def a_search_page():
    """Make the page of a small search, but for some changes."""
    return make_search_page


def make_search_page(**changes):
    """A search of forty candidates, the last of which failed; every fourth is on the front."""
    trials = []
    for number in range(39):
        latency = 1.0 + 0.2 * number
        told = {"latency": Told(latency * 1.05, latency * 0.9, latency * 1.2)} if number >= 10 else {}
        values = {
            "accuracy": 0.8 + 0.004 * number - 0.02 * (number % 4 > 0),
            "latency": latency,
            "size": 1e6 + 1e5 * number,
        }
        details = {"depth": str(number % 5 + 1), "layers": "int8-dynamic"}
        trials.append(Trial(f"vit-mini-{number:08x}", details, values, told, number // 10, None, number % 4 == 0))
    trials.append(Trial(f"vit-mini-{HOSTILE}", {"depth": HOSTILE}, {}, round=3, failure="TVM has no operator LSTM"))
    front = [FrontRow(one.label, one.details, one.values, one.predicted) for one in trials if one.on_front]
    fields = {
        "space": "vit-mini",
        "task": "digits",
        "devices": ("kitchen-pi",),
        "runtime": "onnxruntime",
        "strategy": "random",
        "seed": 7,
        "budget": 40,
        "objectives": (Objective("accuracy", "fraction", True), Objective("latency", "ms"), Objective("size", "bytes")),
        "constraints": (Constraint("latency", "<=", 6.0),),
        "trials": tuple(trials),
        "hypervolumes": tuple((count, 1 - 0.9**count) for count in range(1, 41)),
        "front": tuple(front),
    }
    return SearchPage(**{**fields, **changes})
