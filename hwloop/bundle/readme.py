"""`README.md` of a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

TEXT = """\
# {name}

A model with all that it needs to run: {runtime} {version} on {machine}, glibc {glibc} or newer, Python {python}.
It needs no packages and no network.

    python3 verify.py     # is everything as it was exported, and right on this machine?
    python3 sample.py     # run it once, on the reference inputs
    python3 sample.py {input}=FILE --to .

The last runs it on values of your own (C order, little-endian), and writes the outputs to files in `.`; `sample.py`
says more. `verify.py` ends with 0 (good), 1 (outputs differ) or 2 (damaged, or not for this machine).

| | name | type | shape |
|---|---|---|---|
{tensors}

{known}

In Python, `driver.model.Model` loads the model once and runs it as often as you like; `sample.py` shows how.

{c_words}

Everything that is known of the model, and the digest of each file, is in `manifest.json`. The licences of what is in
`runtime/` are in `licences/`; what is beside it came from hwloop, under Apache-2.0.
"""
C_WORDS = {
    "tvm": """\
In C, `sample.c` does the same, linked with the two libraries in `runtime/`; its first lines say how to build it.""",
    "onnxruntime": """\
There is no C sample: the package that `runtime/` was taken from has no C headers. For C, take ONNX Runtime {version}
from its own release, and load `{entry}` with it.""",
}


def readme(manifest: Mapping[str, Any]) -> str:
    """Return the text for a manifest."""
    runtime, target = manifest["runtime"], manifest["target"]
    rows = [_row(kind, spec) for kind in ("inputs", "outputs") for spec in manifest[kind]]
    python = ".".join(map(str, runtime["python"])) if runtime["python"] else "3.8 or newer"
    names = {"tvm": "TVM", "onnxruntime": "ONNX Runtime"}
    return TEXT.format(
        name=manifest["name"],
        runtime=names[runtime["name"]],
        version=runtime["version"],
        machine=target["machine"],
        glibc=".".join(map(str, target["glibc"])),
        python=python,
        input=manifest["inputs"][0]["name"] if manifest["inputs"] else "INPUT",
        tensors="\n".join(rows),
        known="\n".join(_known(manifest)),
        c_words=C_WORDS[runtime["name"]].format(version=runtime["version"], entry=manifest["model"]["entry"]),
    )


def _row(kind: str, spec: Mapping[str, Any]) -> str:
    return f"| {kind[:-1]} | `{spec['name']}` | {spec['dtype']} | {spec['shape']} |"


def _known(manifest: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that is known of the model."""
    lines = []
    if manifest["quantization"]:
        counts = Counter(manifest["quantization"].values())
        lines.append("- Layers: " + ", ".join(f"{count} in {scheme}" for scheme, count in sorted(counts.items())))
    if accuracy := manifest["accuracy"]:
        lines.append(f"- {accuracy['metric'].capitalize()} on {accuracy['task']}: {accuracy['value']:.4g}")
    if latency := manifest["latency"]:
        time = f"{latency['median_ms']:.4g} ms" if latency["median_ms"] is not None else None
        speed = time or f"{latency['insns_per_call']:.4g} instructions"
        threads = f"{latency['threads']} thread{'s' if latency['threads'] > 1 else ''}"
        lines.append(
            f"- {speed} a call on {latency['device']} with {threads} (measurement {latency['measurement_id']})"
        )
    return lines or ["- Nothing was measured of it when it was exported."]
