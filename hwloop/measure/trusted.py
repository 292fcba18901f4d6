"""Measuring until the figures can be trusted, or have failed to be so often enough."""

from __future__ import annotations

from dataclasses import replace

from hwloop.measure.job import MeasureJob, Observer, Outcome
from hwloop.measure.run import measure
from hwloop.records import Measurement, Verdict
from hwloop.store import Store

ATTEMPTS = 3


def measure_trusted(job: MeasureJob, store: Store, observer: Observer) -> Outcome:
    """Measure a job; what is INVALID, which is the device's unrest and not the model's fault, is measured again.

    After three attempts in all it stays INVALID. Errors as those of `measure`.
    """
    outcome = measure(job, store, observer)
    for _ in range(ATTEMPTS - 1):
        doubtful = {one.subject.model for one in outcome.measurements if one.verdict is Verdict.INVALID}
        if not doubtful or outcome.interrupted or outcome.device_errors:
            break
        workloads = [workload for workload in job.workloads if workload.name in doubtful]
        again = measure(replace(job, workloads=workloads, fresh=True), store, observer)
        newer = {_place(one): one for one in again.measurements}
        outcome = replace(again, measurements=[newer.get(_place(one), one) for one in outcome.measurements])
    return outcome


def _place(measurement: Measurement) -> tuple[str, str, str]:
    subject = measurement.subject
    return subject.model, subject.device, subject.runtime
