"""A plan is read whole, or every mistake in it is told with its line and what is allowed there."""

import re
from pathlib import Path

import pytest

from hwloop.ci.plan import Budget
from hwloop.ci.plan_file import read_plan
from hwloop.cli.output import error_lines
from hwloop.errors import ConfigError

WHOLE = """\
baseline: figures.json
checks:
  keyword spotting:
    models: [models/kws.onnx, vit-mini@7]
    devices: [pi4]
    runtimes: [tvm]
    shapes: {batch: 1}
    policy: [int8-dynamic]
    threads: 2
    seconds: 1.5
    compare_seconds: 10
    budget:
      max_slowdown: 1.5%
      instructions: 1.2 M
      median_ms: 4
      artifact: 512 KiB
      peak_memory: 80 MB
      peak_activations: 2 MB
"""
LEAST = "checks:\n  one:\n    models: [a.onnx]\n    devices: [pi4]\n"


def plan_of(tmp_path, text):
    file = tmp_path / "hwloop.ci.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_plan(file)


def problems_of(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        plan_of(tmp_path, text)
    assert error_lines(caught.value)
    return list(caught.value.problems)


def test_everything_that_a_plan_can_say(tmp_path):
    plan = plan_of(tmp_path, WHOLE)
    check = plan.checks["keyword spotting"]
    assert plan.baseline == "figures.json"
    assert check.models == ("models/kws.onnx", "vit-mini@7")
    assert (check.runtimes, check.shapes, check.threads, check.seconds) == (("tvm",), {"batch": 1}, 2, 1.5)
    assert check.budget == Budget.model_validate(
        {
            "max_slowdown": "1.5%",
            "instructions": 1_200_000,
            "median_ms": 4,
            "artifact": "524288 B",
            "peak_memory": "80000 kB",
            "peak_activations": "2 MB",
        }
    )
    assert check.budget.artifact == 512 * 1024


def test_what_is_left_out_has_its_usual_value(tmp_path):
    check = plan_of(tmp_path, LEAST).checks["one"]
    assert check.runtimes == ("onnxruntime", "tvm")
    assert check.budget == Budget()


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("baseline:", "base:", 1, "Known keys: checks, baseline"),
        ("models:", "model:", 4, "Did you mean `models`? Known keys: models, devices"),
        ("instructions:", "instrs:", 14, "Known keys: max_slowdown, instructions"),
        ("runtimes: [tvm]", "runtimes: [tensorrt]", 6, "a list out of onnxruntime and tvm"),
        ("max_slowdown: 1.5%", "max_slowdown: 1.5", 13, "as 1%"),
        ("artifact: 512 KiB", "artifact: 512", 16, "as 4 MB"),
        ("instructions: 1.2 M", "instructions: few", 14, "as 1.2 M"),
        ("devices: [pi4]", "devices: []", 5, "a list of devices or tags"),
        ("shapes: {batch: 1}", "shapes: {batch: 0}", 7, "1 or more"),
        ("threads: 2", "threads: two", 9, "1 to 1024"),
        ("keyword spotting:", "a/b:", 3, "Use letters"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_allowed(tmp_path, before, after, line, words):
    problems = problems_of(tmp_path, WHOLE.replace(before, after))
    told = next(problem for problem in problems if words in problem.remedy)
    assert told.line == line


def test_all_mistakes_are_told_at_once(tmp_path):
    problems = problems_of(tmp_path, WHOLE.replace("artifact:", "size:").replace("threads: 2", "threads: 0"))
    assert [problem.line for problem in problems] == [9, 16]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is no mapping"),
        ("- a", "it is no mapping"),
        ("baseline: x.json", "`checks` is missing"),
        ("checks: {}", "at least 1 item"),
        ("checks: {one: 3}", "valid dictionary"),
        ("checks: [", "this is not YAML"),
        ("checks: {}\nchecks: {}", "stands twice"),
        (b"\xff\xfe", "no UTF-8"),
        (b"#" * 2_000_000, "too large"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path, text, words):
    assert any(re.search(words, problem.message) for problem in problems_of(tmp_path, text))


def test_a_plan_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_plan(Path(tmp_path / "none.yaml"))
    assert "No such file" in caught.value.problems[0].message
