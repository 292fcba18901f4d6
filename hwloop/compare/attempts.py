"""A whole comparison: sessions are opened, and opened again where a device fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from hwloop.compare.contenders import AnyContender
from hwloop.compare.run import ComparisonRun
from hwloop.devices import quarantine
from hwloop.devices.fleet import Device
from hwloop.devices.transports.factory import open_session
from hwloop.errors import InfrastructureError
from hwloop.measure.giving_up import give_up, refuse_quarantined
from hwloop.measure.recovery import Patience, retrying
from hwloop.measure.waiting import take_lease, told_once
from hwloop.records.comparison import Comparison, ComparisonProtocol
from hwloop.scratch import scratch_folder
from hwloop.store import Store
from hwloop.store.comparisons import Comparisons

PATIENCE_S = 900.0
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
    *,
    wait: bool = True,
    patience_s: float = PATIENCE_S,
    despite_quarantine: bool = False,
) -> Comparison:
    """Compare two contenders on a device; every set is in the store as soon as it was measured.

    A device that others use is waited for, unless `wait` is false; one that fails is reached again for up to
    `patience_s` without progress.

    Raises:
        UsageError: a contender cannot be built, or fails on the device.
        DeviceBusy: others use the device.
        DeviceQuarantined: the device failed too often.
        InfrastructureError: the device failed.
    """
    refuse_quarantined(store, device.name, despite=despite_quarantine)
    patience, tell = Patience(patience_s), told_once(device.name, say)

    def noted(done: int, total: int) -> None:
        patience.progress()
        progressed(done, total)

    with scratch_folder("inputs") as folder:
        run = ComparisonRun(contenders, device, protocol, Comparisons(store), folder, say, noted)

        def attempt() -> Comparison:
            session = open_session(device, say)
            try:
                patience.reached()
                take_lease(session, "comparing", patience, tell, wait=wait)
                return run.measure(session)
            finally:
                session.close()

        try:
            comparison = retrying(patience, threading.Event(), say)(attempt)
        except InfrastructureError as error:
            give_up(store, device.name, error, patience.was_reached and patience.exhausted, say)
            raise
        quarantine.lift(store.path, device.name)
        return comparison
