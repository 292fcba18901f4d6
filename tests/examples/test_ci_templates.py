"""The templates for continuous integration are valid YAML, and every command and option in them exists."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from hwloop.ci.plan_file import read_plan

ROOT = Path(__file__).parents[2]
ACTION, WORKFLOW, GITLAB = (
    ROOT / name for name in ("action.yml", "examples/ci/github-workflow.yml", "examples/ci/gitlab-ci.yml")
)


def read(path):
    return yaml.safe_load(path.read_text())


def scripts():
    """Every shell line of the templates."""
    jobs = read(WORKFLOW)["jobs"].values()
    steps = [*read(ACTION)["runs"]["steps"], *(step for job in jobs for step in job["steps"])]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    for job in read(GITLAB).values():
        lines += [*job.get("before_script", []), *job.get("script", [])]
    return lines


def commands():
    return [line for line in scripts() if line.startswith("hwloop ")]


def test_each_template_runs_a_plan():
    assert len(commands()) == 4
    assert all(line.startswith("hwloop ci ") for line in commands())


@pytest.mark.parametrize("line", commands())
def test_every_option_exists(line):
    told = subprocess.run(
        [sys.executable, "-m", "hwloop", "ci", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    for option in (word for word in shlex.split(line) if word.startswith("--")):
        assert re.search(rf"(?<!\S){option}\b", told.stdout), option


@pytest.mark.parametrize("line", scripts())
def test_no_expression_is_pasted_into_a_script(line):
    assert "${{" not in line  # whoever names a branch would run commands; environment variables are safe


def test_shell_lines_are_shell():
    script = "\n".join(scripts())
    subprocess.run(["bash", "-n"], input=script, text=True, timeout=60, check=True)


def test_the_action_takes_what_the_workflow_gives_it():
    action = read(ACTION)
    assert action["runs"]["using"] == "composite"
    (used,) = [step for step in read(WORKFLOW)["jobs"]["emulated"]["steps"] if "/hwloop@" in step.get("uses", "")]
    assert set(used["with"]) <= set(action["inputs"])
    named = set(re.findall(r"inputs\.(\w+)", ACTION.read_text()))
    assert named == set(action["inputs"])
    assert all(step.get("shell") == "bash" for step in action["runs"]["steps"] if "run" in step)


def test_the_report_that_gitlab_reads_is_the_one_that_is_written():
    gitlab = read(GITLAB)
    assert gitlab[".hwloop"]["artifacts"]["reports"]["junit"] == "hwloop-junit.xml"
    for name in ("hwloop emulated", "hwloop devices"):
        assert gitlab[name]["extends"] == ".hwloop"
        assert "--junit hwloop-junit.xml" in gitlab[name]["script"][0]


def test_the_example_of_a_plan_is_one():
    plan = read_plan(ROOT / "examples/ci/hwloop.ci.yaml")
    assert plan.checks["file types"].budget.max_slowdown == 0.01


def test_extras_that_are_installed_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    package = re.fullmatch(r"hwloop\[(.+)\]", read(GITLAB)["variables"]["HWLOOP_PACKAGE"])
    wanted = [*read(ACTION)["inputs"]["extras"]["default"].split(","), *package[1].split(",")]
    assert set(wanted) <= set(extras)
