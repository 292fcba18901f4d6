"""A plan as it runs: every check's models measured, then judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hwloop.artifacts import ArtifactArchive
from hwloop.bundle.building import make_bundle
from hwloop.bundle.sourcing import goods_measured, place_of
from hwloop.ci.baseline import Baseline, Entry
from hwloop.ci.cases import Case
from hwloop.ci.judging import judge
from hwloop.ci.plan import Check
from hwloop.compare.attempts import compare, protocol_for
from hwloop.compare.contenders import StoredContender
from hwloop.devices.fleet import Device
from hwloop.errors import DeviceError, InfrastructureError
from hwloop.exporter.runtimes.base import Runtime
from hwloop.measure import MeasureJob, Observer, measure_trusted
from hwloop.measure.workload import Workload
from hwloop.records import Measurement, TimingProtocol
from hwloop.records.comparison import Comparison
from hwloop.scratch import scratch_folder
from hwloop.store import Models, Store


@dataclass
class Checking:
    """Runs the checks of a plan against a store; `against_baseline` is false while the baseline is written anew."""

    store: Store
    baseline: Baseline
    observer: Observer
    fresh: bool = False
    against_baseline: bool = True
    interrupted: bool = False
    device_errors: list[InfrastructureError] = field(default_factory=list)

    def run(
        self,
        name: str,
        check: Check,
        workloads: Sequence[Workload],
        devices: Sequence[Device],
        runtimes: Sequence[Runtime],
    ) -> list[Case]:
        """Return a case for every model, device and runtime of a check.

        Raises:
            HwloopError: what is no device's fault, such as a store that cannot be written.
        """
        protocol = TimingProtocol(seconds=check.seconds, threads=check.threads)
        job = MeasureJob(workloads, devices, runtimes, protocol, fresh=self.fresh)
        outcome = measure_trusted(job, self.store, self.observer)
        self.interrupted = outcome.interrupted
        self.device_errors += outcome.device_errors
        found = {(one.subject.model, one.subject.device, one.subject.runtime): one for one in outcome.measurements}
        cases = [
            Case(name, workload.name, device.name, runtime.name)
            for workload in workloads
            for device in devices
            for runtime in runtimes
            if runtime.name in device.settings.runtimes
        ]
        for case in cases:
            case.measurement = found.get((case.model, case.device, case.runtime))
            if case.measurement is None:
                case.error = _why_not(case.device, outcome.device_errors)
        if not self.interrupted:
            by_name = {device.name: device for device in devices}
            built = {runtime.name: runtime for runtime in runtimes}
            for case in cases:
                self._judge(case, check, by_name[case.device], built[case.runtime])
        return cases

    def _judge(self, case: Case, check: Check, device: Device, runtime: Runtime) -> None:
        measurement = case.measurement
        if measurement is None:
            return
        facts = Models(self.store).get(measurement.subject.model_digest)
        try:
            case.findings = judge(
                measurement,
                check.budget,
                self.baseline.get(case.name),
                facts.costs.peak_activation_bytes if facts else None,
                self._comparer(check, device, runtime),
                lambda one: self._bundle_bytes(one, device, runtime),
                against_baseline=self.against_baseline,
            )
        except InfrastructureError as error:
            case.error = str(error)
            self.device_errors.append(error)

    def _bundle_bytes(self, measurement: Measurement, device: Device, runtime: Runtime) -> int:
        say = self.observer.say
        goods = goods_measured(measurement, runtime, place_of(device, say), self.store, say)
        with scratch_folder("bundles") as folder:
            return make_bundle(goods, folder / "bundle.zip").size_bytes

    def _comparer(self, check: Check, device: Device, runtime: Runtime) -> Callable[[Entry, Measurement], Comparison]:
        """Return what runs a baseline's artifact and a new one in turns on a device."""

        def run(entry: Entry, new: Measurement) -> Comparison:
            archive = ArtifactArchive()
            old = self.store.get(entry.measurement_id)
            both = [StoredContender(one, archive, runtime) for one in (old, self.store.get(new.id))]
            protocol = protocol_for(device, check.compare_seconds, threads=check.threads)
            self.observer.say(
                f"{device.name}: comparing {new.subject.model} with its baseline, {check.compare_seconds:g} s"
            )
            return compare(both, device, protocol, self.store, self.observer.say)

        return run


def _why_not(device: str, errors: Sequence[InfrastructureError]) -> str:
    """Return why a device did not measure: its own errors, or those of the host."""
    of_it = [str(error) for error in errors if not isinstance(error, DeviceError) or error.device == device]
    return " ".join(of_it) or "it was not measured"


def updated(baseline: Baseline, cases: Sequence[Case], *, whole: bool) -> dict[str, Entry]:
    """Return a baseline with the figures of these cases; what is wrong with a case keeps it out.

    Where the `whole` plan ran, cases that it does not have any more go; those that could not be measured stay.
    """
    measured = {case.name: Entry.of(case.measurement) for case in cases if case.measurement and case.result == "passed"}
    stays = {case.name for case in cases if case.error}
    return {name: entry for name, entry in baseline.items() if not whole or name in stays} | measured
