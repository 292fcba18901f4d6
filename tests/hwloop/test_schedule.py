"""Every cell gets its processes, in shuffled rounds, within its caps; and it ends."""

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.records import Failure, TimingProtocol
from hwloop.schedule import MOST_PROCESSES, Schedule
from hwloop.testing.records import a_counted_run, a_failure, a_run

PROTOCOL = TimingProtocol(processes=3, seconds=3.0, min_calls=64)


@dataclass
class FakeDevice:
    """Runs processes as the runner does, within the budget and at least one call; keeps their order."""

    call_ms: dict[str, float]
    noise: float = 0.0
    broken: frozenset[str] = frozenset()
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    order: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    def run(self, cell, budget):
        self.order.append(cell)
        if cell in self.broken:
            return a_failure()
        base = self.call_ms[cell] * self.chance.lognormvariate(0, self.noise)
        calls = max(1, min(budget.max_calls, 200, int(budget.seconds * 1000 / base) + 1))
        run = a_run(self.order.count(cell) - 1, [base * self.chance.lognormvariate(0, 0.01) for _ in range(calls)])
        self.longest_s = max(self.longest_s, sum(run.samples_ns) / 1e9)
        return run

    def run_all(self, schedule):
        runs = {}
        while (cell := schedule.next()) is not None:
            outcome = self.run(cell, schedule.budget(cell))
            runs.setdefault(cell, []).append(outcome)
            if isinstance(outcome, Failure):
                schedule.close(cell)
            else:
                schedule.tell(cell, outcome)
        return runs


def scheduled(cells, protocol=PROTOCOL, **options):
    schedule = Schedule(protocol, **options)
    for cell in cells:
        schedule.add(cell)
    return schedule


cells_of_times = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.01, 2000.0), min_size=1, max_size=6)
protocols = st.builds(
    TimingProtocol,
    processes=st.integers(1, 5),
    seconds=st.floats(0.05, 5.0),
    relative_width=st.sampled_from([0.0, 0.005, 0.02, 0.2]),
    min_calls=st.integers(1, 200),
    max_calls=st.integers(1, 1000),
    seed=st.integers(0, 9),
)


@given(cells_of_times, protocols, st.sampled_from([0.0, 0.02, 0.3]))
def test_every_cell_ends_with_enough_processes_and_within_its_caps(times, protocol, noise):
    schedule, device = scheduled(times, protocol), FakeDevice(times, noise)
    runs = device.run_all(schedule)
    assert schedule.done and schedule.share_done == 1.0
    for cell in times:
        seconds = [sum(run.samples_ns) / 1e9 for run in runs[cell]]
        assert protocol.processes <= len(seconds) <= MOST_PROCESSES * protocol.processes
        owed = seconds[: protocol.processes]
        # Beyond the processes that are owed, none starts once the cap is reached.
        assert sum(seconds) <= max(sum(owed), protocol.seconds + max(seconds)) + 1e-6


@given(cells_of_times, protocols)
def test_the_same_seed_gives_the_same_order(times, protocol):
    devices = [FakeDevice(times, 0.02), FakeDevice(times, 0.02)]
    for device in devices:
        device.run_all(scheduled(times, protocol))
    assert devices[0].order == devices[1].order


def test_each_round_runs_every_cell_once_in_an_order_of_its_own():
    cells = "abcdefgh"
    device = FakeDevice(dict.fromkeys(cells, 5.0))
    device.run_all(scheduled(cells))
    rounds = [device.order[start : start + 8] for start in (0, 8, 16)]
    assert all(sorted(one) == list(cells) for one in rounds)
    assert len({tuple(one) for one in rounds}) == 3


def test_another_seed_gives_another_order():
    cells = "abcdefgh"
    orders = set()
    for seed in range(3):
        device = FakeDevice(dict.fromkeys(cells, 5.0))
        device.run_all(scheduled(cells, replace(PROTOCOL, seed=seed)))
        orders.add(tuple(device.order))
    assert len(orders) == 3


def test_a_calm_cell_ends_after_its_processes_and_a_noisy_one_goes_on():
    device = FakeDevice({"calm": 1.0})
    assert len(device.run_all(scheduled(["calm"]))["calm"]) == 3
    noisy = FakeDevice({"noisy": 1.0}, noise=0.03)
    assert len(noisy.run_all(scheduled(["noisy"]))["noisy"]) > 3


def test_without_a_width_to_reach_the_seconds_are_used_up_in_the_processes_asked():
    protocol = TimingProtocol(processes=3, seconds=3.0, relative_width=0.0)
    schedule = scheduled(["a"], protocol)
    for index in range(3):
        budget = schedule.budget("a")
        assert budget.seconds == pytest.approx(1.0, rel=0.02)
        schedule.tell(schedule.next(), a_run(index, [9.99] * 100))
    assert schedule.done


def test_a_slow_model_still_gets_every_process_and_then_no_more_seconds():
    schedule = scheduled(["slow"])
    for index in range(3):
        cell = schedule.next()
        schedule.tell(cell, a_run(index, [4000.0]))
        assert schedule.budget("slow").seconds == 0.0
    assert schedule.next() is None


def test_the_budget_shares_the_calls():
    protocol = TimingProtocol(processes=3, min_calls=64, max_calls=900)
    budget = scheduled(["a"], protocol).budget("a")
    assert (budget.min_calls, budget.max_calls) == (22, 300)


def test_a_failure_closes_its_cell_at_once_and_no_other():
    device = FakeDevice({"good": 5.0, "bad": 5.0}, broken=frozenset({"bad"}))
    device.run_all(scheduled(["good", "bad"]))
    assert device.order.count("bad") == 1
    assert device.order.count("good") == 3


def test_a_cell_that_is_not_ready_is_passed_over_until_it_is():
    schedule = Schedule(PROTOCOL)
    schedule.add("built", ready=True)
    schedule.add("building", ready=False)
    assert schedule.next() == "built"
    schedule.tell("built", a_run())
    assert schedule.next() == "built"
    schedule.tell("built", a_run())
    schedule.ready("building")
    assert {schedule.next(), schedule.next()} == {"built", "building"}


def test_nothing_ready_is_not_the_same_as_done():
    schedule = Schedule(PROTOCOL)
    schedule.add("building", ready=False)
    assert schedule.next() is None
    assert not schedule.done


def test_a_cell_can_be_added_while_others_run():
    device, schedule = FakeDevice({"early": 5.0, "late": 5.0}), scheduled(["early"])
    cell = schedule.next()
    schedule.add("late")
    schedule.tell(cell, device.run(cell, schedule.budget(cell)))
    device.run_all(schedule)
    assert device.order.count("late") == 3
    with pytest.raises(ValueError, match="scheduled already"):
        schedule.add("late")


def test_a_cell_is_not_handed_out_twice_at_once():
    schedule = scheduled(["a", "b"])
    assert {schedule.next(), schedule.next()} == {"a", "b"}
    assert schedule.next() is None


def test_a_cell_that_was_given_up_is_not_run_again():
    schedule = scheduled(["a", "b"])
    schedule.close("a")
    assert FakeDevice({"b": 5.0}).run_all(schedule).keys() == {"b"}
    assert schedule.is_closed("a")


def test_a_resumed_cell_runs_only_what_is_missing():
    schedule = Schedule(PROTOCOL)
    earlier = [a_run(index, [5.0] * 30) for index in range(2)]
    schedule.add("a", earlier)
    assert schedule.next() == "a"
    schedule.tell("a", a_run(2, [5.0] * 30))
    assert schedule.done


def test_a_cell_whose_earlier_runs_are_enough_is_closed_at_once():
    earlier = [a_run(index, [5.0] * 30) for index in range(3)]
    added, readied = Schedule(PROTOCOL), Schedule(PROTOCOL)
    added.add("a", earlier)
    readied.add("a", ready=False)
    readied.ready("a", earlier)
    for schedule in (added, readied):
        assert schedule.is_closed("a") and schedule.done and schedule.next() is None


def test_an_emulated_cell_gets_exactly_its_processes():
    schedule = scheduled(["a"], emulated=True)
    for index in range(3):
        assert schedule.next() == "a"
        schedule.tell("a", a_counted_run(index))
    assert schedule.next() is None


def test_the_share_done_grows_with_every_process():
    schedule = scheduled(["a", "b"], emulated=True)
    shares = [schedule.share_done]
    while (cell := schedule.next()) is not None:
        schedule.tell(cell, a_counted_run())
        shares.append(schedule.share_done)
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0.0, 1.0)


def test_a_process_that_kept_no_call_is_made_again_but_not_for_ever():
    """Others may slow the processor all the time that it has."""
    schedule = Schedule(TimingProtocol(processes=3, seconds=1.0))
    schedule.add("cell")
    runs = [a_run(0, []), *(a_run(index, [200.0] * 5) for index in (1, 2, 3))]
    for run in runs:
        assert schedule.next() == "cell"
        schedule.tell("cell", run)
    assert schedule.next() is None
    schedule.add("never")
    for index in range(12):
        assert schedule.next() == "never"
        schedule.tell("never", a_run(index, []))
    assert schedule.next() is None
