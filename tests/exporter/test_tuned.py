"""What tuning found is kept line by line; what a crash cut short is not there, and nothing else is lost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hwloop.exporter.schedules import Tiling, Trace, schedule_from_json
from hwloop.exporter.tuned import TRIAL, VERDICT, TunedKernels, used_by
from hwloop.records import Target

PI4 = Target("aarch64-linux-gnu", "cortex-a72", ("+neon",), num_cores=4)
TILE = Tiling(6, 4)


@pytest.fixture
def tuned(tmp_path) -> TunedKernels:
    return TunedKernels("rules-1", tmp_path)


def verdict(kernel: str, schedule) -> dict[str, object]:
    return {"kernel": kernel, "schedule": schedule and schedule.as_json()}


@pytest.mark.parametrize("schedule", [TILE, Tiling(3, 2, cores=1), Trace('{"root": 1}')])
def test_a_schedule_survives_its_json(schedule):
    assert schedule_from_json(schedule.as_json()) == schedule


def test_the_last_verdict_on_a_kernel_holds(tuned):
    tuned.add(PI4, VERDICT, verdict("a", TILE))
    tuned.add(PI4, VERDICT, verdict("b", TILE))
    tuned.add(PI4, VERDICT, verdict("a", None))
    assert tuned.schedules(PI4) == {"b": TILE}


def test_a_trial_is_no_verdict(tuned):
    tuned.add(PI4, TRIAL, verdict("a", TILE))
    assert tuned.schedules(PI4) == {}


def test_what_was_found_for_one_target_or_by_other_rules_says_nothing_here(tuned, tmp_path):
    tuned.add(PI4, VERDICT, verdict("a", TILE))
    assert tuned.schedules(replace(PI4, num_cores=1)) == {}
    assert TunedKernels("rules-2", tmp_path).schedules(PI4) == {}


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_line_that_was_cut_short_costs_itself_alone(tuned, cut):
    tuned.add(PI4, VERDICT, verdict("a", TILE))
    tuned.add(PI4, VERDICT, verdict("b", TILE))
    path = tuned.path(PI4)
    path.write_bytes(path.read_bytes()[:-cut])
    tuned.add(PI4, VERDICT, verdict("c", TILE))
    assert {"a", "c"} <= set(tuned.schedules(PI4)) <= {"a", "b", "c"}


def test_many_may_write_at_once(tuned):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: tuned.add(PI4, VERDICT, verdict(str(number), TILE)), range(40)))
    assert len(tuned.schedules(PI4)) == 40


def test_a_model_is_known_by_the_schedules_of_its_own_kernels():
    assert used_by(["b", "a", "a"], {"a": TILE, "z": TILE}) == {"a": TILE.as_json()}
