"""Where `hwloop predictor fit` measures, and what it tells meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.cli.output import say

if TYPE_CHECKING:
    from hwloop.learning.active import Goal, Round
    from hwloop.learning.fitting import Fitting
    from hwloop.learning.pool import Wanted
    from hwloop.learning.rows import Rows
    from hwloop.records import TimingProtocol
    from hwloop.store import Store


@dataclass(frozen=True)
class Bench:
    """A device by its name, a runtime, and the store that measurements enter."""

    store: Store
    device: str
    runtime: str
    protocol: TimingProtocol
    devices_file: Path | None

    def measure(self, wanted: Wanted, goal: Goal, fitting: Fitting) -> Fitting:
        """Measure candidates until the goal is met, and return the fitting with what it knows of the pool.

        Raises:
            HwloopError: bad input, or the device failed; what was measured is kept.
        """
        from hwloop.cli.compare import one_device
        from hwloop.cli.progress import Progress, counted
        from hwloop.devices.fleet import load_fleet
        from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
        from hwloop.exporter.runtimes.tvm import Tvm
        from hwloop.learning.active import measure_actively
        from hwloop.learning.measuring import Measuring
        from hwloop.learning.pool import draw_pool

        device = one_device(load_fleet(self.devices_file).select([self.device]))
        with counted("describing candidates", wanted.count) as described:
            fitting, pool = fitting.over(draw_pool(wanted, described))
        runtime = OnnxRuntime() if self.runtime == "onnxruntime" else Tvm()
        with Progress() as progress:
            measuring = Measuring(self.store, device, runtime, self.protocol, progress, wanted.sizes, wanted.seed)
            try:
                why = measure_actively(pool, goal, fitting, measuring, lambda: self._rows(wanted), _tell)
            except KeyboardInterrupt:
                say("What was measured is kept; the same command goes on from there.")
                raise
        say(f"Measured enough: {why}.")
        return fitting

    def _rows(self, wanted: Wanted) -> Rows | None:
        """Return what the store has of the space by now."""
        from hwloop.learning.rows import find_rows

        batch = wanted.sizes.get("batch", 1)
        rows = find_rows(self.store, self.device, self.runtime, threads=self.protocol.threads, batch=batch)
        return rows.of_space(wanted.space) if rows else None


def _tell(found: Round) -> None:
    failed = f", {found.failed} of no use" if found.failed else ""
    error = f", cross-validated error {found.error_percent:.1f} %" if found.error_percent is not None else ""
    say(f"{found.measured} candidates measured{failed}{error}")
