"""Which calls are kept where others may slow the processor unseen."""

from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.runner.pace import AnyPace, FullPace, loop_ns

FULL, SLOW = 1000, 1800


class Processor:
    """Its speed changes as a script says: what the loop takes, before the first call and after each."""

    def __init__(self, *script_ns):
        self.script_ns = list(script_ns)

    def __call__(self):
        return self.script_ns.pop(0)


def paced(known_ns, *script_ns):
    pace = FullPace(known_ns, Processor(*script_ns))
    for _ in script_ns[1:]:
        pace.note()
    return pace


def test_a_call_is_kept_where_the_processor_was_quick_before_and_after_it():
    pace = paced(0, FULL, FULL, SLOW, SLOW, FULL, FULL)
    assert pace.kept([1, 2, 3, 4, 5]) == [1, 5]


def test_small_differences_are_no_slowness():
    assert paced(0, FULL, 1100, 1200, FULL).kept([1, 2, 3]) == [1, 2, 3]


def test_a_process_that_was_slow_throughout_is_found_by_what_earlier_ones_took():
    assert paced(0, SLOW, SLOW, SLOW).kept([1, 2]) == [1, 2]
    pace = paced(FULL, SLOW, SLOW, SLOW)
    assert pace.kept([1, 2]) == []
    assert pace.full_speed_ns == FULL


def test_a_quicker_process_than_all_before_is_the_new_full_speed():
    assert paced(SLOW, FULL, FULL).full_speed_ns == FULL


def test_one_loop_that_was_quick_by_luck_is_not_the_full_speed():
    pace = paced(0, *[FULL] * 99, 500)
    assert pace.full_speed_ns == FULL
    assert len(pace.kept(range(99))) == 99


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=200), st.integers(0, 10_000))
def test_what_is_kept_is_some_of_the_calls_in_their_order(script_ns, known_ns):
    kept = paced(known_ns, *script_ns).kept(range(len(script_ns) - 1))
    assert list(kept) == sorted(set(kept)) and set(kept) <= set(range(len(script_ns) - 1))


def test_any_pace_keeps_every_call():
    pace = AnyPace()
    pace.note()
    assert pace.kept([3, 1, 2]) == [3, 1, 2] and pace.full_speed_ns is None


def test_the_loop_takes_time():
    assert loop_ns() > 0
