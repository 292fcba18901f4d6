"""Cells are made ready several at once; what goes wrong with one ends the session at once."""

import threading
from types import SimpleNamespace

import pytest

from hwloop.errors import InfrastructureError
from hwloop.measure import supply as supply_module
from hwloop.measure.cells import CellKey
from hwloop.measure.job import DeviceClock, Silent
from hwloop.measure.supply import Supply

LIMIT_S = 20


class Bench:
    """A bench with some keys, which takes whatever is made."""

    cells = ()
    share_done = 0.0
    equals = ()

    def __init__(self, count):
        self._keys = [CellKey(number, "tvm") for number in range(count)]
        self._lock = threading.Lock()
        self.kept, self.ends = [], []

    def take(self):
        with self._lock:
            return self._keys.pop(0) if self._keys and not self.ends else None

    def mine(self, key):
        return True

    def end_of_cells(self, error=None):
        self.ends.append(error)

    def keep(self, key, made, *, reused):
        self.kept.append(key.workload)


class Preparer:
    def __init__(self, prepare):
        self._prepare = prepare
        self.provisioned = 0

    def runtime(self, key):
        return key.runtime

    def provision(self, session, runtime):
        self.provisioned += 1

    def prepare(self, session, key, provisioned, target, equals):
        return self._prepare(key)


@pytest.fixture
def supplied(monkeypatch):
    def run(count, prepare):
        monkeypatch.setattr(supply_module, "BUILDERS", 2)
        bench, preparer = Bench(count), Preparer(prepare)
        job = SimpleNamespace(workloads=[SimpleNamespace(name=str(number)) for number in range(count)])
        Supply("box", job, preparer, bench, bench, Silent(), DeviceClock()).run(None, None, None)
        return bench, preparer

    return run


def test_two_are_built_at_once_and_the_runtime_is_brought_once(supplied):
    together = threading.Barrier(2, timeout=LIMIT_S)
    bench, preparer = supplied(4, lambda key: together.wait())
    assert sorted(bench.kept) == [0, 1, 2, 3]
    assert bench.ends == [None]
    assert preparer.provisioned == 1


def test_an_error_is_told_and_ends_the_supply(supplied):
    told = []

    def prepare(key):
        if key.workload == 0:
            raise InfrastructureError("gone")
        told.append(key.workload)

    bench, _ = supplied(2, prepare)
    assert [str(error) for error in bench.ends] == ["gone"]
    assert bench.kept == told
