"""Equal devices share cells: each is finished once, whatever fails, and nobody idles while there is work."""

import random

from hypothesis import given
from hypothesis import strategies as st

from hwloop.measure.sharing import Sharing


def shared(cells, *names):
    """Devices of one kind that have all met and joined."""
    sharing = Sharing()
    for name in names:
        sharing.meet("pi", name, f"board of {name}", cells)
        sharing.join("pi", name)
    return sharing


def test_a_device_of_its_own_kind_gets_every_cell():
    sharing = shared([1, 2, 3], "one")
    assert [sharing.take("pi", "one") for _ in range(4)] == [1, 2, 3, None]


def test_equal_devices_take_different_cells():
    sharing = shared([1, 2], "one", "two")
    assert {sharing.take("pi", "one"), sharing.take("pi", "two")} == {1, 2}


def test_an_idle_device_takes_what_a_busy_one_has_not_begun():
    sharing = shared([1, 2], "busy", "idle")
    first, second = sharing.take("pi", "busy"), sharing.take("pi", "busy")
    assert sharing.take("pi", "idle") is None  # it may begin either of them
    assert sharing.begin("pi", "busy", first)
    assert sharing.take("pi", "idle") == second
    assert not sharing.begin("pi", "busy", second)
    assert sharing.begin("pi", "idle", second)


def test_what_a_lost_device_had_goes_to_others_even_if_begun():
    sharing = shared([1], "lost", "well")
    cell = sharing.take("pi", "lost")
    sharing.begin("pi", "lost", cell)
    assert sharing.take("pi", "well") is None
    sharing.lose("pi", "lost")
    assert sharing.take("pi", "well") == cell
    sharing.join("pi", "lost")
    assert not sharing.begin("pi", "lost", cell)


def test_devices_know_their_equals_once_all_have_met_or_are_missed():
    sharing = Sharing(["one", "two", "other", "away"])
    sharing.meet("pi", "one", "board 1", [1])
    sharing.meet("pi", "two", "board 2", [1])
    sharing.meet("another kind", "other", "board 3", [1])
    assert not sharing.all_met
    sharing.miss("away")
    assert sharing.all_met
    assert sharing.equals("pi") == [("one", "board 1"), ("two", "board 2")]


@given(st.integers(1, 5), st.integers(0, 12), st.integers(0, 2**32), st.floats(0, 0.3))
def test_every_cell_is_finished_exactly_once_whatever_fails(devices, cells, seed, risk):
    draw = random.Random(seed)
    names = [f"pi{number}" for number in range(devices)]
    sharing = shared(range(cells), *names)
    alive, holding, finished = set(names), {name: [] for name in names}, []
    for _ in range(10_000):
        if sharing.over("pi"):
            break
        name = draw.choice(sorted(alive))
        if len(alive) > 1 and draw.random() < risk:
            alive.remove(name)
            sharing.leave("pi", name)
            continue
        if len(holding[name]) < 2 and (taken := sharing.take("pi", name)) is not None:
            holding[name].append(taken)
        if holding[name] and draw.random() < 0.7:
            cell = holding[name].pop(0)
            if sharing.begin("pi", name, cell):
                finished.append(cell)
                sharing.finish("pi", cell)
    assert sorted(finished) == list(range(cells))
    assert sharing.share_done("pi") == 1.0


@given(st.integers(1, 5), st.integers(0, 12), st.integers(0, 2**32))
def test_nobody_idles_while_there_is_a_cell_that_a_busy_device_has_not_begun(devices, cells, seed):
    draw = random.Random(seed)
    names = [f"pi{number}" for number in range(devices)]
    sharing = shared(range(cells), *names)
    held, running, finished = {name: [] for name in names}, {}, set()
    while not sharing.over("pi"):
        name = draw.choice(names)
        if name in running:
            cell = running.pop(name)
            sharing.finish("pi", cell)
            finished.add(cell)
        while len(held[name]) < 2 and (taken := sharing.take("pi", name)) is not None:
            held[name].append(taken)
        while held[name] and name not in running:
            cell = held[name].pop(0)
            if sharing.begin("pi", name, cell):
                running[name] = cell
        if name not in running:
            about_to_begin = {cell for other in names if other not in running for cell in held[other]}
            assert set(range(cells)) <= finished | set(running.values()) | about_to_begin
    assert finished == set(range(cells))
