"""Identifiers sort by time, and tell it."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from hwloop.store.ids import IdMaker, created_at, first_id_at, new_id


def test_ids_increase_and_differ():
    ids = [new_id() for _ in range(2000)]
    assert ids == sorted(set(ids))


def test_ids_of_threads_differ():
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: new_id(), range(4000)))
    assert len(set(ids)) == 4000


def test_a_clock_that_is_set_back_does_not_turn_the_order(monkeypatch):
    maker = IdMaker()
    before = maker()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    assert maker() > before


def test_an_id_tells_when_it_was_made():
    made = datetime.fromisoformat(created_at(IdMaker()()))
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=2)
    assert created_at("00000000000a00000000") == "1970-01-01T00:00:00.010+00:00"


def test_ids_made_later_sort_after_a_moment():
    now = datetime.now(UTC)
    assert first_id_at(now - timedelta(seconds=5)) <= IdMaker()() < first_id_at(now + timedelta(seconds=5))
