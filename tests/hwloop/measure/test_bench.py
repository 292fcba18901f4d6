"""What a device has at hand: cells keep their runs over sessions, and go to equal devices without a trace."""

from types import SimpleNamespace

import pytest

from hwloop.errors import FetchError
from hwloop.measure.bench import Bench
from hwloop.measure.sharing import Sharing
from hwloop.records import TimingProtocol
from hwloop.testing.records import a_run

PROTOCOL = TimingProtocol(processes=3, relative_width=0.0)


def benches(*names, cells=("a",)):
    sharing = Sharing(names)
    made = [Bench(name, PROTOCOL, sharing, emulated=False, shares=True) for name in names]
    for name, bench in zip(names, made, strict=True):
        bench.begin_session()
        bench.meet("pi", f"board of {name}", cells)
        bench.join()
    return made


def cell(key, runs=()):
    return SimpleNamespace(key=key, runs=list(runs))


def test_what_is_put_is_timed_until_it_is_settled():
    (bench,) = benches("one")
    made = cell(bench.take())
    assert not bench.put(made)
    assert bench.next() is made
    assert not bench.tell("a", a_run(0))
    bench.settle("a")
    bench.end_of_cells()
    assert bench.next() is None and bench.over and bench.cells == []


def test_a_session_that_was_lost_leaves_cells_and_half_made_keys_to_the_next():
    (bench,) = benches("one", cells=("a", "b"))
    made = cell(bench.take(), [a_run(0)])
    bench.put(made)
    half_made = bench.take()
    bench.stop()
    assert bench.next() is None
    bench.lose()
    bench.begin_session()
    bench.join()
    assert bench.cells == [made]
    assert bench.take() == half_made
    bench.put_back(made)
    assert bench.next() is made


def test_a_cell_that_an_equal_device_has_taken_over_is_dropped():
    weak, well = benches("weak", "well")
    weak.put(cell(weak.take()))
    weak.lose()
    well.put(cell(well.take()))
    weak.begin_session()
    weak.join()
    weak.put_back(weak.cells[0])
    assert well.next().key == "a"
    weak.end_of_cells()
    assert weak.next() is None and weak.cells == []


def test_a_cell_that_comes_back_is_not_made_again_and_its_runs_count_once():
    weak, well = benches("weak", "well")
    weak.put(cell(weak.take(), [a_run(0), a_run(1)]))
    weak.lose()
    assert well.take() == "a"
    weak.begin_session()
    weak.join()
    weak.put_back(weak.cells[0])
    well.leave()
    weak.stopped.wait = lambda seconds: weak.stop()  # instead of looking again
    assert weak.take() is None
    weak.stopped.clear()
    assert weak.next().key == "a"
    assert weak.tell("a", a_run(2))  # the third of three


def test_what_making_cells_raises_is_raised_where_they_are_timed():
    (bench,) = benches("one")
    bench.end_of_cells(FetchError("no wheel"))
    with pytest.raises(FetchError):
        bench.next()


def test_a_device_that_is_awaited_in_vain_holds_nobody(monkeypatch):
    sharing = Sharing(["one", "away"])
    bench = Bench("one", PROTOCOL, sharing, emulated=False, shares=True)
    monkeypatch.setattr("hwloop.measure.bench.MEETING_S", 0.2)
    bench.meet("pi", "board", ["a"])
    bench.join()
    assert bench.take() == "a"
