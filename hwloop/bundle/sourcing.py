"""From a model, or from what was measured, to what a bundle is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwloop.artifacts import MEASURE_AGAIN, ArtifactArchive
from hwloop.bundle.goods import Accuracy, Goods, Known
from hwloop.deadline import Deadline
from hwloop.devices.fleet import Device
from hwloop.devices.provision import wheel_version, wheels_for
from hwloop.errors import UsageError
from hwloop.records import Artifact, DeviceFacts, Failure, Measurement, Target, Verdict
from hwloop.store import Filters, Store

if TYPE_CHECKING:
    from hwloop.exporter.runtimes.base import Runtime
    from hwloop.measure.workload import Workload

FETCH_S, BUILD_S = 1200.0, 600.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a bundle is to run: a device, or a bare target. Of the facts, architecture, glibc and Python count."""

    name: str
    target: Target
    facts: DeviceFacts


def place_of(device: Device, say: Say) -> Place:
    """Return a device as a place; it is asked for its facts.

    Raises:
        DeviceError: it cannot be reached, or is not fit for use.
    """
    from hwloop.devices.transports.factory import open_session
    from hwloop.measure.target import suited_target

    session = open_session(device, say)
    try:
        return Place(device.name, suited_target(device, session.facts), session.facts)
    finally:
        session.close()


def bare_place(target: Target, python: tuple[int, int]) -> Place:
    """Return a target as a place, for a device that nobody asks."""
    facts = DeviceFacts(target.machine, "", target.glibc, (*python, 0), "", "", (), target.num_cores, 0, 0, "", "")
    return Place(target.triple, target, facts)


def goods_of(
    workload: Workload,
    runtime: Runtime,
    place: Place,
    store: Store,
    say: Say,
    *,
    accuracy: Accuracy | None = None,
) -> Goods:
    """Build a model for a place, with what the store knows of the same artifact there.

    Raises:
        UsageError: it cannot be built.
        FetchError, DeviceUnsuited: there is no runtime for the place.
    """
    wheels = wheels_for(runtime.needs(), place.name, place.facts, Deadline.after(FETCH_S), say)
    version = wheel_version(wheels[0])
    built = runtime.build(workload.model, place.target, version, Deadline.after(BUILD_S))
    if isinstance(built, Failure):
        raise UsageError(
            f"{workload.name} with {runtime.name}: {built.kind.value}: {built.message}",
            remedy="`hwloop measure` keeps the whole message; another runtime (-r) may do.",
        )
    for note in built.notes:
        say(f"{workload.name}: {note}")
    known = Known(workload.candidate, workload.quantization, accuracy, measured(built, place.name, store))
    return Goods(workload.name, built, workload.inputs, place.target, wheels, _python(runtime, place), known)


def goods_measured(
    measurement: Measurement,
    runtime: Runtime,
    place: Place,
    store: Store,
    say: Say,
    *,
    accuracy: Accuracy | None = None,
) -> Goods:
    """Return exactly what was measured: the same artifact, the same version of the runtime.

    Raises:
        UsageError: it is a failure, is not kept any more, or was built for a device of another kind.
        FetchError, DeviceUnsuited: there is no runtime for the place.
    """
    from hwloop.exporter.inputs import load_inputs
    from hwloop.store import Models

    subject, archive = measurement.subject, ArtifactArchive()
    if measurement.failure:
        raise UsageError(f"measurement {measurement.id} is a failure: {measurement.failure.message}")
    artifact = archive.artifact(subject.artifact_digest)
    built_for = artifact.target
    if built_for and built_for != place.target:
        raise UsageError(
            f"{subject.model} was built for {built_for.triple} {built_for.cpu}, and {place.name} is another",
            remedy="Export the model's file for it, or name the device that it was measured on.",
        )
    files = archive.inputs(subject.inputs_digest)
    given = {spec: files[spec.name][0] for spec in artifact.inputs}
    try:
        inputs = load_inputs(given, archive.reference(subject.model_digest, subject.inputs_digest))
    except (OSError, ValueError) as error:
        raise UsageError(f"{subject.model}: its kept inputs are damaged: {error}", remedy=MEASURE_AGAIN) from error
    needs = runtime.needs().exactly(subject.runtime_version)
    wheels = wheels_for(needs, place.name, place.facts, Deadline.after(FETCH_S), say)
    facts = Models(store).get(subject.model_digest)
    quantization = archive.quantization(subject.model_digest, subject.inputs_digest)
    known = Known(facts.candidate if facts else None, quantization, accuracy, measurement)
    return Goods(subject.model, artifact, inputs, place.target, wheels, _python(runtime, place), known)


def measured(artifact: Artifact, device: str, store: Store) -> Measurement | None:
    """Return the newest valid measurement of an artifact on a device, if there is one."""
    wanted = Filters(devices=[device], artifacts=[artifact.digest], verdicts=[Verdict.VALID], limit=1)
    return next(iter(store.query(wanted)), None)


def _python(runtime: Runtime, place: Place) -> tuple[int, int] | None:
    """Return the Python that the runtime's wheels are for; None where any does."""
    if all(need.any_python for need in runtime.needs().wheels):
        return None
    return place.facts.python[0], place.facts.python[1]
