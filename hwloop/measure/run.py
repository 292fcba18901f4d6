"""A measuring run: every device at once, each in a thread of its own."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from hwloop.errors import HwloopError, InfrastructureError
from hwloop.measure.cells import CellKey
from hwloop.measure.describing import describe
from hwloop.measure.device import DeviceRun
from hwloop.measure.job import MeasureJob, Observer, Outcome
from hwloop.measure.quiet import Quiet
from hwloop.measure.sharing import Sharing
from hwloop.records import Measurement
from hwloop.scratch import scratch_folder
from hwloop.store import Store

WAIT_S = 1.0


def measure(job: MeasureJob, store: Store, observer: Observer) -> Outcome:
    """Measure a job and return what came of it; everything measured is in the store by then.

    A device that fails is told of in the outcome, and the others go on. Ctrl-C ends all of them; what was
    measured stays, and the same job goes on from there.

    Raises:
        HwloopError: what is no device's fault, such as a store that cannot be written.
    """
    outcome = Outcome()
    describe(job.workloads, store)
    quiet = Quiet()
    sharing: Sharing[CellKey] = Sharing(job.sharing)
    with scratch_folder("inputs") as folder:
        runs = [DeviceRun(device, job, store, observer, quiet, sharing, folder) for device in job.devices]
        with ThreadPoolExecutor(max_workers=max(1, len(runs)), thread_name_prefix="device") as pool:
            futures = {pool.submit(run.run): run for run in runs}
            try:
                _wait(set(futures))
            except KeyboardInterrupt:
                outcome.interrupted = True
                for runtime in job.runtimes:
                    runtime.stop()
            finally:
                for run in runs:
                    run.stop()
            _collect(futures, observer, outcome)
    outcome.measurements = _in_order(job, [found for run in runs for found in run.finished])
    outcome.clocks = {run.device.name: run.clock for run in runs}
    return outcome


def _wait(pending: set[Future[None]]) -> None:
    """Wait for all, waking up now and then so that Ctrl-C is heard; end early on an error that ends the run."""
    while pending:
        done, pending = wait(pending, timeout=WAIT_S, return_when=FIRST_COMPLETED)
        for future in done:
            error = future.exception()
            if error and not isinstance(error, InfrastructureError):
                return


def _collect(futures: dict[Future[None], DeviceRun], observer: Observer, outcome: Outcome) -> None:
    for future in futures:
        try:
            future.result()
        except InfrastructureError as error:
            outcome.device_errors.append(error)
            observer.device_failed(error)
        except HwloopError:
            if not outcome.interrupted:
                raise


def _in_order(job: MeasureJob, found: list[Measurement]) -> list[Measurement]:
    """Sort by model, device and runtime as they were asked for."""
    models = [workload.name for workload in job.workloads]
    devices = [device.name for device in job.devices]
    runtimes = [runtime.name for runtime in job.runtimes]

    def place(measurement: Measurement) -> tuple[int, int, int]:
        subject = measurement.subject
        return models.index(subject.model), devices.index(subject.device), runtimes.index(subject.runtime)

    return sorted(found, key=place)
