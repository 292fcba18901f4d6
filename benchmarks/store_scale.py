"""How fast the store is when it is large: writing, the usual `results` queries, the look-up before measuring.

    python benchmarks/store_scale.py [--measurements 100000] [--samples 64] [--store FILE]

Builds a store of N measurements (three processes each, lognormal times, one in fifty a failure) in a
temporary folder, through the same code that `hwloop measure` uses, and times each query as the best and the
median of several. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hwloop.records import Limits, ProcessRun, Verdict
from hwloop.stats import summarise
from hwloop.store import Filters, Store
from hwloop.testing.records import QUICK, a_failure, a_run, a_subject
from hwloop.verdict import verdict_of

DEVICES = [f"board-{number:03d}" for number in range(100)]
RUNTIMES = ["onnxruntime", "tvm"]
REPEATS = 9
LIMITS = Limits()


def build(store: Store, measurements: int, samples: int) -> float:
    """Store so many measurements and return the seconds that it took."""
    chance = random.Random(0)
    runs = [[_run(chance, index, samples) for index in range(3)] for _ in range(20)]
    summaries = [summarise(of_one, emulated=False) for of_one in runs]
    verdicts = [
        verdict_of(of_one, summary, QUICK, LIMITS, emulated=False)
        for of_one, summary in zip(runs, summaries, strict=True)
    ]
    start = time.perf_counter()
    for number in range(measurements):
        subject = a_subject(
            model=f"net-{number // 400:04d}", device=chance.choice(DEVICES), runtime=chance.choice(RUNTIMES)
        )
        if number % 50 == 49:
            store.add_failure(subject, a_failure())
            continue
        which = number % len(runs)
        measurement_id = store.begin(subject)
        for run in runs[which]:
            store.add_run(measurement_id, run)
        store.finish(measurement_id, *verdicts[which], summaries[which])
    return time.perf_counter() - start


def _run(chance: random.Random, index: int, samples: int) -> ProcessRun:
    base = chance.lognormvariate(1.5, 0.02)
    return a_run(index, [base * chance.lognormvariate(0, 0.05) for _ in range(samples)])


def cases(store: Store) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name."""
    newest = store.query(Filters(limit=1))[0]
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    usual = Filters(latest_only=True, limit=50)
    return {
        "results": lambda: store.query(usual),
        "of_a_device": lambda: store.query(replace(usual, devices=[DEVICES[7]])),
        "of_a_model": lambda: store.query(replace(usual, models=["net-0003"])),
        "of_a_glob": lambda: store.query(replace(usual, models=["*t-0003"])),
        "of_a_device_and_model": lambda: store.query(replace(usual, devices=[DEVICES[7]], models=["net-0003*"])),
        "failed": lambda: store.query(replace(usual, verdicts=[Verdict.FAILED])),
        "invalid": lambda: store.query(replace(usual, verdicts=[Verdict.INVALID])),
        "since_an_hour": lambda: store.query(replace(usual, since=hour_ago)),
        "one_by_prefix": lambda: store.get(newest.id[:16]),
        "is_it_there": lambda: store.finished(newest.subject.key),
        "is_it_unfinished": lambda: store.unfinished(newest.subject.key),
    }


def times_ms(work: Callable[[], object]) -> tuple[float, float]:
    """Return the best and the median time of some repeats, in milliseconds."""
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return min(taken), statistics.median(taken)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measurements", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=64, help="timed calls of each of three processes")
    parser.add_argument("--store", type=Path, help="keep the store in this file, which must not exist yet")
    given = parser.parse_args()
    if given.store and given.store.exists():
        parser.error(f"{given.store} exists already")
    with tempfile.TemporaryDirectory() as folder:
        path = given.store or Path(folder) / "measurements.sqlite"
        with Store.open(path) as store:
            build_s = build(store, given.measurements, given.samples)
        start = time.perf_counter()
        with Store.open(path) as store:
            open_ms = (time.perf_counter() - start) * 1000
            found = {name: times_ms(work) for name, work in cases(store).items()}
        size_mb = path.stat().st_size / 1e6
    print(f"{given.measurements} measurements, {size_mb:.0f} MB, stored in {build_s:.0f} s")
    print(f"{'':24}{'best ms':>10}{'median ms':>12}")
    for name, (best, median) in found.items():
        print(f"{name:24}{best:10.2f}{median:12.2f}")
    report = {
        "measurements": given.measurements,
        "store_mb": round(size_mb, 1),
        "stored_per_s": round(given.measurements / build_s),
        "open_ms": round(open_ms, 2),
        "results_ms": round(found["results"][1], 2),
        "slowest_query_ms": round(max(median for _, median in found.values()), 2),
        **{name: {"best_ms": round(best, 3), "median_ms": round(median, 3)} for name, (best, median) in found.items()},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
