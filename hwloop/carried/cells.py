"""What a carried job measures: a cell for every workload and runtime, as the job's document names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwloop.devices.folders import Blob, Folder
from hwloop.devices.jobs import ONE_CALL, job_request
from hwloop.digests import digest_bytes
from hwloop.exporter.inputs import Inputs
from hwloop.measure.cells import artifact_folder
from hwloop.records import Artifact, Failure, FailureKind, Subject, TimingProtocol

# They are the job's, not a cell's, or are known on the device alone.
NOT_A_CELLS = ("device", "device_identity", "emulated", "protocol")


@dataclass(frozen=True)
class CarriedCell:
    """A cell's part of the document, and the files that it needs in the archive, by digest."""

    document: Mapping[str, Any]
    blobs: Mapping[str, Path] = field(default_factory=dict)
    references: Mapping[str, bytes] = field(default_factory=dict)


def built_cell(subject: Subject, artifact: Artifact, inputs: Inputs, folder: Path) -> CarriedCell:
    """Return the cell of an artifact; its inputs' files are written into `folder`."""
    pushed = artifact_folder(artifact)
    protocol = TimingProtocol.from_json(subject.protocol)
    request = job_request(artifact, pushed.digest, inputs.digests, protocol, ONE_CALL, counted=False, known_outputs=())
    files = inputs.write(folder)
    blobs = {blob.digest: blob.path for blob in pushed.blobs}
    blobs |= {inputs.digests[name]: path for name, path in files.items()}
    reference, contents = _reference(inputs)
    document = {
        "subject": subject_json(subject),
        "folder": folder_json(pushed),
        "request": request,
        "reference": reference,
    }
    return CarriedCell(document, blobs, contents)


def failed_cell(subject: Subject, failure: Failure) -> CarriedCell:
    """Return the cell of what could not be built: the failure is stored when the results come."""
    told = {"kind": failure.kind.value, "message": failure.message, "detail": failure.detail}
    return CarriedCell({"subject": subject_json(subject), "failure": told})


def subject_json(subject: Subject) -> dict[str, object]:
    """Return what the document says of a subject."""
    return {name: getattr(subject, name) for name in subject.__dataclass_fields__ if name not in NOT_A_CELLS}


def subject_from(document: Mapping[str, Any], cell: Mapping[str, Any], identity: str) -> Subject:
    """Return the subject of a cell of a job, on the board with this identity."""
    return Subject(
        **cell["subject"],
        device=document["device"],
        device_identity=identity,
        emulated=False,
        protocol=document["protocol"],
    )


def failure_from(found: Mapping[str, Any]) -> Failure:
    """Return a failure from its JSON form."""
    return Failure(FailureKind(found["kind"]), str(found["message"]), str(found["detail"]))


def folder_json(folder: Folder) -> dict[str, object]:
    """Return what the device must know to make a folder out of blobs."""
    return {
        "digest": folder.digest,
        "files": {name: blob.digest for name, blob in folder.files.items()},
        "archives": _digests(folder.archives),
    }


def _digests(blobs: Sequence[Blob]) -> list[str]:
    return [blob.digest for blob in blobs]


def _reference(inputs: Inputs) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    """Return what the right outputs are, and their values in C order, little-endian, by digest."""
    described: list[dict[str, object]] = []
    contents: dict[str, bytes] = {}
    for name, array in inputs.reference.items():
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        digest = digest_bytes(data)
        contents[digest] = data
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "digest": digest})
    return described, contents
