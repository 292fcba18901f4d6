"""A measuring run: every device at once, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from hwloop.errors import HwloopError, InfrastructureError
from hwloop.measure.cells import CellKey
from hwloop.measure.describing import describe
from hwloop.measure.device import DeviceRun
from hwloop.measure.job import MeasureJob, Observer, Outcome
from hwloop.measure.quiet import Quiet
from hwloop.measure.sharing import Sharing
from hwloop.measure.workload import distinct, identity_of, named
from hwloop.records import Measurement
from hwloop.scratch import scratch_folder
from hwloop.store import Store

WAIT_S = 1.0


def measure(job: MeasureJob, store: Store, observer: Observer) -> Outcome:
    """Measure a job and return what came of it; everything measured is in the store by then.

    A model that stands there several times, as parts of candidates do, is measured once. A device that fails is told
    of in the outcome, and the others go on. Ctrl-C ends all of them; what was measured stays, and the same job goes on
    from there.

    Raises:
        HwloopError: what is no device's fault, such as a store that cannot be written.
    """
    outcome = Outcome()
    asked, job = job, replace(job, workloads=distinct(job.workloads))
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
    outcome.measurements = _as_asked(asked, [found for run in runs for found in run.finished])
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


def _as_asked(job: MeasureJob, found: Sequence[Measurement]) -> list[Measurement]:
    """Return what was asked for, by model, device and runtime, each under the name that it was asked for by."""
    measured_as = {identity_of(one): one.name for one in distinct(job.workloads)}
    by_place = {(one.subject.model, one.subject.device, one.subject.runtime): one for one in found}
    places = [
        (workload, (measured_as[identity_of(workload)], device.name, runtime.name))
        for workload in job.workloads
        for device in job.devices
        for runtime in job.runtimes
    ]
    return [named(by_place[place], workload.name) for workload, place in places if place in by_place]
