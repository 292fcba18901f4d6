import json
import math
import re

import pytest

from hwloop.errors import UsageError
from hwloop.report.search_page import Constraint, Objective, Told, Trial, write_search_page


def data_of(path):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found[1])


def test_every_trial_and_every_row_of_the_final_front_is_in_the_page(tmp_path, a_search_page):
    page = a_search_page()
    write_search_page(tmp_path / "search.html", page)
    data = data_of(tmp_path / "search.html")
    assert [one["label"] for one in data["trials"]] == [one.label for one in page.trials]
    assert [one["values"] for one in data["front"]] == [dict(one.values) for one in page.front]
    assert data["trials"][10]["predicted"] == {"latency": pytest.approx([3.15, 2.7, 3.6])}


def test_a_name_that_looks_like_markup_ends_no_script(tmp_path, a_search_page, hostile):
    write_search_page(tmp_path / "search.html", a_search_page(space=hostile))
    text = (tmp_path / "search.html").read_text()
    assert text.count("</script>") == 2  # the data's and the page's own
    assert "<img" not in text
    assert hostile in data_of(tmp_path / "search.html")["trials"][-1]["label"]


def test_a_candidate_beyond_a_constraint_is_told_apart(tmp_path, a_search_page):
    write_search_page(tmp_path / "search.html", a_search_page(constraints=(Constraint("latency", "<=", 2.0),)))
    feasible = [one["feasible"] for one in data_of(tmp_path / "search.html")["trials"]]
    assert feasible == [number <= 5 for number in range(39)] + [False]


def test_numbers_that_json_has_not_are_left_out(tmp_path, a_search_page):
    odd = Trial("odd", {}, {"accuracy": math.nan, "latency": 1.0}, {"latency": Told(1.0, 0.5, math.inf)})
    write_search_page(tmp_path / "search.html", a_search_page(trials=(odd,), hypervolumes=((1, math.nan),)))
    data = data_of(tmp_path / "search.html")
    assert data["trials"][0]["values"] == {"latency": 1.0}
    assert data["trials"][0]["predicted"] == {"latency": [1.0, 0.5, None]}
    assert data["hypervolumes"] == []


def test_an_objective_of_a_device_is_titled_in_words():
    assert Objective("latency@pi4", "instructions").title == "latency on pi4"


def test_a_folder_that_is_not_there_is_named(tmp_path, a_search_page):
    with pytest.raises(UsageError, match=r"missing/search\.html: cannot be written"):
        write_search_page(tmp_path / "missing" / "search.html", a_search_page())
