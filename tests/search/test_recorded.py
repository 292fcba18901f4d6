"""Recorded tables: what was written is read, and which candidates they are of."""

import pytest

from hwloop.errors import UsageError
from hwloop.search.recorded import Recipe, RecordedTable, append_result, begin_table, opened
from hwloop.search.spaces.resnet import RESNET_MINI
from hwloop.search.strategies.base import Result

RECIPE = Recipe(
    "resnet-mini",
    {"stages.0.width": [0.5, 1], "stages.1.depth": [1, 3]},
    ["stages.0", "head"],
    ["fp32", "int8-static"],
    ["onnxruntime"],
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.csv"


def test_what_is_open_is_every_point_of_the_genome():
    points = list(RECIPE.genome().points())
    assert len(set(points)) == len(points) == 2 * 2 * 2 * 2
    assert {point.arch["stages.1.depth"] for point in points} == {1, 3}
    assert {point.arch["stem.width"] for point in points} == {1.0}
    assert {rule for point in points for rule in point.policy.rules} == {"stages.0", "head"}


def test_what_was_written_is_read(path):
    begin_table(path, RECIPE)
    one, failed = list(RECIPE.genome().points())[:2]
    found = Result(one, {"accuracy": 0.9125, "latency": 0.123456789, "size": 41234.0})
    append_result(path, found)
    append_result(path, Result(failed, None))
    table = RecordedTable.read(path)
    assert table.results == {one: found, failed: Result(failed, None)}
    assert list(table.recipe.genome().points()) == list(RECIPE.genome().points())


def test_a_table_is_gone_on_with_where_it_is_of_the_same(path):
    begin_table(path, RECIPE)
    append_result(path, Result(next(RECIPE.genome().points()), None))
    begin_table(path, RECIPE)
    assert len(RecordedTable.read(path).results) == 1
    other = Recipe("resnet-mini", {}, [], ["fp32"], ["onnxruntime"])
    with pytest.raises(UsageError, match="of other candidates"):
        begin_table(path, other)


@pytest.mark.parametrize("text", ["", "candidate,accuracy\n", "# {}\n", "# [1]\ncandidate\n", '# {"space": 1}\n'])
def test_a_file_that_is_no_table_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(UsageError, match="no recorded table"):
        RecordedTable.read(path)


def test_a_missing_file_is_told(path):
    with pytest.raises(UsageError, match="cannot be read"):
        RecordedTable.read(path)


def test_unknown_blocks_schemes_and_choices_are_named():
    def recipe(**changed):
        return Recipe(**{**vars(RECIPE), **changed})

    for changed, message in (
        ({"blocks": ["stages.7"]}, "no block 'stages.7'"),
        ({"schemes": ["int3"]}, "'int3' is no scheme"),
        ({"restrict": {"depth": [1]}}, "no choice 'depth'"),
    ):
        with pytest.raises(UsageError, match=message):
            recipe(**changed).genome()


def test_choices_that_are_not_named_are_the_largest():
    assert opened(RESNET_MINI, {}).choices.count() == 1
    assert opened(RESNET_MINI, {}).choices.smallest == RESNET_MINI.choices.largest
