"""Equal devices share cells: each is finished once, whatever fails, and nobody idles while there is work."""

import random

from hypothesis import given
from hypothesis import strategies as st

from hwloop.measure.sharing import Sharing


def test_a_device_of_its_own_kind_gets_every_cell():
    sharing = Sharing()
    sharing.join("kind of one", "one", [1, 2, 3])
    assert [sharing.take("kind of one", "one") for _ in range(4)] == [1, 2, 3, None]


def test_equal_devices_take_different_cells():
    sharing = Sharing()
    for name in ("one", "two"):
        sharing.join("pi", name, [1, 2])
    assert {sharing.take("pi", "one"), sharing.take("pi", "two")} == {1, 2}


def test_an_idle_device_takes_what_a_busy_one_has_not_begun():
    sharing = Sharing()
    sharing.join("pi", "busy", [1, 2])
    sharing.join("pi", "idle", [1, 2])
    first, second = sharing.take("pi", "busy"), sharing.take("pi", "busy")
    assert sharing.take("pi", "idle") is None  # it may begin either of them
    assert sharing.begin("pi", "busy", first)
    assert sharing.take("pi", "idle") == second
    assert not sharing.begin("pi", "busy", second)
    assert sharing.begin("pi", "idle", second)


def test_what_a_lost_device_had_goes_to_others_even_if_begun():
    sharing = Sharing()
    sharing.join("pi", "lost", [1])
    sharing.join("pi", "well", [1])
    cell = sharing.take("pi", "lost")
    sharing.begin("pi", "lost", cell)
    assert sharing.take("pi", "well") is None
    sharing.lose("pi", "lost")
    assert sharing.take("pi", "well") == cell
    sharing.join("pi", "lost", [1])
    assert not sharing.begin("pi", "lost", cell)


@given(st.integers(1, 5), st.integers(0, 12), st.integers(0, 2**32), st.floats(0, 0.3))
def test_every_cell_is_finished_exactly_once_whatever_fails(devices, cells, seed, risk):
    draw = random.Random(seed)
    sharing = Sharing()
    names = [f"pi{number}" for number in range(devices)]
    for name in names:
        sharing.join("pi", name, range(cells))
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
