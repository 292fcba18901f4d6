"""How fast hwloop's own bookkeeping is: 100 simulated devices, 100,000 measurements.

    python benchmarks/fleet_scale.py [--devices 100] [--measurements 100000]

The devices come in ten kinds of ten equal ones each, which share their cells. No process is run: a simulated device
answers at once with calls drawn for it. What is timed is the shared queue, the schedule, the figures, the verdict and
the store, as a measuring run uses them; then the query behind `hwloop results`.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hwloop.measure.sharing import Sharing
from hwloop.records import Limits, ProcessRun, Subject, TimingProtocol
from hwloop.schedule import Schedule
from hwloop.stats import summarise
from hwloop.store import Filters, Store
from hwloop.testing.records import a_run, a_subject
from hwloop.verdict import verdict_of

KINDS = 10
AHEAD = 2
CALLS = 64
QUERIES = 30
PROTOCOL = TimingProtocol(seconds=1e9, relative_width=0.5)


class SimulatedDevice:
    """A device that answers at once."""

    def __init__(self, name: str, kind: str, sharing: Sharing[int], store: Store, seed: int) -> None:
        self.name, self.kind, self.sharing, self.store = name, kind, sharing, store
        self.draw = np.random.default_rng(seed)
        self.schedule: Schedule[int] = Schedule(PROTOCOL)
        self.runs: dict[int, list[ProcessRun]] = {}
        self.ids: dict[int, str] = {}

    def step(self) -> int:
        """Take cells, run one process; return how many measurements were finished."""
        while len(self.runs) < AHEAD and (cell := self.sharing.take(self.kind, self.name)) is not None:
            self.schedule.add(cell)
            self.runs[cell] = []
            self.ids[cell] = self.store.begin(self.subject(cell))
        cell = self.schedule.next()
        if cell is None:
            return 0
        if not self.sharing.begin(self.kind, self.name, cell):
            self.forget(cell)
            return 0
        run = self.process(len(self.runs[cell]))
        self.runs[cell].append(run)
        self.store.add_run(self.ids[cell], run)
        self.schedule.tell(cell, run)
        if not self.schedule.is_closed(cell):
            return 0
        summary = summarise(self.runs[cell], emulated=False)
        verdict, reasons = verdict_of(self.runs[cell], summary, PROTOCOL, Limits(), emulated=False)
        self.store.finish(self.ids[cell], verdict, reasons, summary)
        self.sharing.finish(self.kind, cell)
        self.forget(cell)
        return 1

    def forget(self, cell: int) -> None:
        """Drop what was known of a cell."""
        self.schedule.remove(cell)
        del self.runs[cell], self.ids[cell]

    def process(self, index: int) -> ProcessRun:
        """Return what a process would have measured."""
        calls = self.draw.normal(1e6, 1e4, CALLS).astype(int).tolist()
        return a_run(index=index, samples_ns=tuple(calls))

    def subject(self, cell: int) -> Subject:
        """Return what a cell is about."""
        return a_subject(model=f"model{cell}", artifact_digest=f"{cell:064x}", device=self.name)


def main() -> None:
    """Run the simulation, print a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--measurements", type=int, default=100_000)
    options = parser.parse_args()
    figures = run(options.devices, options.measurements)
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.4g}")
    Console().print(table)
    print(json.dumps(figures))


def run(devices: int, measurements: int) -> dict[str, float]:
    """Return the figures of one simulation."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store.sqlite") as store:
        sharing: Sharing[int] = Sharing()
        cells = {f"kind{kind}": range(kind, measurements, KINDS) for kind in range(KINDS)}
        fleet = []
        for number in range(devices):
            kind = f"kind{number % KINDS}"
            sharing.meet(kind, f"device{number}", f"board{number}", cells[kind])
            sharing.join(kind, f"device{number}")
            fleet.append(SimulatedDevice(f"device{number}", kind, sharing, store, number))
        draw, finished, start = random.Random(0), 0, time.perf_counter()
        with Console(stderr=True) as console:
            for _ in track(range(measurements), "measurements", console=console):
                before = finished
                while finished == before:
                    finished += draw.choice(fleet).step()
        simulated_s = time.perf_counter() - start
        queries = [timed_query(store) for _ in range(QUERIES)]
        size_bytes = (Path(folder) / "store.sqlite").stat().st_size
    return {
        "devices": devices,
        "measurements": finished,
        "measurements_per_s": finished / simulated_s,
        "milliseconds_each": 1000 * simulated_s / finished,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "store_mb": size_bytes / 1e6,
        "usual_results_query_ms": statistics.median(queries),
        "slowest_results_query_ms": max(queries),
    }


def timed_query(store: Store) -> float:
    """Return the milliseconds of the query behind `hwloop results -d device7`."""
    start = time.perf_counter()
    found = store.query(Filters(devices=("device7",), limit=50))
    assert found
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
