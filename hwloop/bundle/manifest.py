"""`manifest.json`: everything that is known of a bundle, and the digest of every file in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import hwloop
from hwloop.bundle.archive import names_below
from hwloop.bundle.goods import Goods, Known
from hwloop.bundle.shipped.verify import SCHEMA
from hwloop.digests import digest_file
from hwloop.exporter.compare import QUANTIZED_STEP, TOLERANCES
from hwloop.exporter.toolchain import needed_glibc
from hwloop.records import Measurement, TensorSpec

MODEL = "model"


def description(
    goods: Goods,
    folder: Path,
    packages: Mapping[str, str],
    inputs: Mapping[str, str],
    outputs: Mapping[TensorSpec, str],
) -> dict[str, object]:
    """Return all of a manifest but the files' digests; the bundle's files stand in a folder.

    `packages` are the versions of what the runtime was taken from; `inputs` and `outputs` the files of their values, by
    an input's name and an output's description.
    """
    artifact, target = goods.artifact, goods.target
    return {
        "schema": SCHEMA,
        "hwloop": hwloop.__version__,
        "name": goods.name,
        "artifact": artifact.digest,
        "model": {
            "digest": artifact.model_digest,
            "entry": f"{MODEL}/{artifact.entry}",
            "options": dict(artifact.options or {}),
        },
        "runtime": {
            "name": artifact.runtime,
            "version": artifact.runtime_version,
            "packages": dict(packages),
            "python": list(goods.python) if goods.python else None,
        },
        "target": {
            "machine": target.machine,
            "triple": target.triple,
            "cpu": target.cpu,
            "features": list(target.features),
            "num_cores": target.num_cores,
            "glibc": list(glibc_floor(folder)),
        },
        "inputs": [{**spec.as_json(), "file": inputs[spec.name]} for spec in artifact.inputs],
        "outputs": [{**spec.as_json(), "file": file, "tolerance": tolerance(spec)} for spec, file in outputs.items()],
        **_known(goods.known),
    }


def files_in(folder: Path) -> dict[str, dict[str, object]]:
    """Return what a manifest says of each file in a folder."""
    return {
        name: {"sha256": digest_file(folder / name), "bytes": (folder / name).stat().st_size}
        for name in names_below(folder)
    }


def as_text(manifest: Mapping[str, object]) -> str:
    """Return a manifest as it is written: the same text for the same content."""
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def glibc_floor(folder: Path) -> tuple[int, int]:
    """Return the newest glibc that a library in a folder names: what a device must have."""
    return max((needed_glibc(folder / name) for name in names_below(folder) if ".so" in name), default=(0, 0))


def tolerance(spec: TensorSpec) -> dict[str, float]:
    """Return how far an output may be from the reference, in the words of `verify.py`."""
    relative, of_largest = TOLERANCES.get(spec.dtype, (0.0, 0.0))
    return {"relative": relative, "of_largest": of_largest, "step": QUANTIZED_STEP.get(spec.dtype, 0)}


def _known(known: Known) -> dict[str, object]:
    return {
        "candidate": known.candidate and known.candidate.as_json(),
        "quantization": None if known.quantization is None else dict(known.quantization),
        "accuracy": known.accuracy and known.accuracy.as_json(),
        "latency": known.measurement and _latency(known.measurement),
    }


def _latency(measurement: Measurement) -> dict[str, object]:
    subject, summary = measurement.subject, measurement.summary
    return {
        "measurement_id": measurement.id,
        "device": subject.device,
        "verdict": measurement.verdict.value,
        "threads": subject.threads,
        "median_ms": summary.median_ms,
        "ci95_ms": list(summary.ci95_ms) if summary.ci95_ms else None,
        "p90_ms": summary.p90_ms,
        "insns_per_call": summary.insns_per_call,
    }
