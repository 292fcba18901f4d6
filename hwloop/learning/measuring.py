"""Chosen candidates, exported and measured on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hwloop.devices.fleet import Device
from hwloop.exporter.runtimes.base import Runtime
from hwloop.measure import MeasureJob, Observer, measure
from hwloop.measure.workload import load_workloads
from hwloop.records import Candidate, Measurement, TimingProtocol
from hwloop.scratch import scratch_folder
from hwloop.search.model_files import Numbers, write_candidates
from hwloop.store import Store


@dataclass(frozen=True)
class Measuring:
    """Measures candidates with a runtime on a device, into a store.

    `sizes` are what they are exported with; `weights` as `Numbers.weights`.
    """

    store: Store
    device: Device
    runtime: Runtime
    protocol: TimingProtocol
    observer: Observer
    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    weights: str = "random"

    def __call__(self, candidates: Sequence[Candidate]) -> list[Measurement]:
        """Measure all parts of candidates; what the store has is not measured again.

        Raises:
            InfrastructureError: the device failed; what was measured before is kept.
            KeyboardInterrupt: the user stopped it; what was measured before is kept.
        """
        with scratch_folder("candidates") as folder:
            files = write_candidates(candidates, folder, self.sizes, Numbers(self.weights, self.seed))
            files = list({file.path: file for file in files}.values())
            loaded = load_workloads([file.path for file in files], {}, {}, self.seed)
            workloads = [replace(one, candidate=file.candidate) for one, file in zip(loaded, files, strict=True)]
            job = MeasureJob(workloads, [self.device], [self.runtime], self.protocol)
            outcome = measure(job, self.store, self.observer)
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.device_errors:
            raise outcome.device_errors[0]
        return outcome.measurements
