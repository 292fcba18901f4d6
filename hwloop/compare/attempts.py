"""A whole comparison: sessions are opened, and opened again where a device fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwloop.compare.contenders import AnyContender
from hwloop.compare.run import ComparisonRun
from hwloop.devices.fleet import Device
from hwloop.devices.transports.factory import open_session
from hwloop.records.comparison import Comparison, ComparisonProtocol
from hwloop.scratch import scratch_folder
from hwloop.store import Store
from hwloop.store.comparisons import Comparisons

SECONDS_A_SET, LEAST_SETS, MOST_SETS, COUNTED_SETS = 2.0, 10, 30, 3


def protocol_for(
    device: Device, seconds: float, *, threads: int = 1, seed: int = 0, process_deadline_s: float = 120.0
) -> ComparisonProtocol:
    """Return how `seconds` are spent on a device: many sets, for each is one observation; few where counts repeat."""
    sets = min(MOST_SETS, max(LEAST_SETS, round(seconds / SECONDS_A_SET)))
    return ComparisonProtocol(
        seconds=seconds,
        sets=COUNTED_SETS if device.emulated else sets,
        threads=threads,
        seed=seed,
        process_deadline_s=process_deadline_s,
    )


def compare(
    contenders: Sequence[AnyContender],
    device: Device,
    protocol: ComparisonProtocol,
    store: Store,
    say: Callable[[str], None],
    progressed: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Compare two contenders on a device; every set is in the store as soon as it was measured.

    Raises:
        UsageError: a contender cannot be built, or fails on the device.
        InfrastructureError: the device failed.
    """
    with scratch_folder("inputs") as folder:
        run = ComparisonRun(contenders, device, protocol, Comparisons(store), folder, say, progressed)
        session = open_session(device, say)
        try:
            return run.measure(session)
        finally:
            session.close()
