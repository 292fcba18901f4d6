"""Stores for tests and benchmarks: made-up measurements that are valid, of candidates and of models over time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from hwloop.digests import digest_json
from hwloop.records import (
    Arch,
    Candidate,
    Costs,
    Evidence,
    Kernel,
    KernelKind,
    Limits,
    ModelFacts,
    ProcessRun,
    QuantPolicy,
    Scheme,
    Subject,
)
from hwloop.stats import summarise
from hwloop.store import Models, Store
from hwloop.testing.records import CALM, QUICK, a_counted_run, a_failure, a_run, a_subject
from hwloop.verdict import verdict_of

# Name, milliseconds of a network of size 1, whether it counts instructions.
DEVICES = (("kitchen-pi", 9.0, False), ("jetson", 2.5, False), ("local", 1.0, False), ("pi4", 60e6, True))
RUNTIMES = (("onnxruntime", "1.32.0", 1.0), ("tvm", "0.27.0.post1", 0.85))
MODELS = ("magika", "silero-vad", "minilm")
OWN_MODELS_SHARE = 0.25
FAILED_SHARE, NOISY_SHARE = 0.02, 0.1


def fill_store(
    store: Store,
    measurements: int,
    samples: int = 100,
    seed: int = 0,
    done: Callable[[int], None] = lambda _count: None,
) -> None:
    """Add so many measurements of three processes each: three in four of candidates, the others of three models.

    One in fifty failed, one in ten is noisy; their verdicts are those that the calls deserve. `done` hears how many
    there are.
    """
    chance = random.Random(seed)
    for number in range(measurements):
        if chance.random() < OWN_MODELS_SHARE:
            _measure(store, chance, a_subject(model=chance.choice(MODELS)), 1.0, samples)
        else:
            candidate, kernels = _candidate(chance)
            size = _size(kernels)
            name = f"{candidate.space}-{candidate.digest[:8]}"
            subject = a_subject(model=name, artifact_bytes=round(size * 4e6 * chance.uniform(0.4, 1.6)))
            facts = ModelFacts(subject.model_digest, subject.inputs_digest, name, Costs(0, 0, 0, 0, kernels), candidate)
            Models(store).add([facts])
            _measure(store, chance, subject, size, samples)
        done(number + 1)


def _candidate(chance: random.Random) -> tuple[Candidate, tuple[Kernel, ...]]:
    """Return a candidate and its kernels: so many products, each as wide and as long as its choices say."""
    depth, width = chance.randint(1, 12), chance.choice((96, 128, 160, 192, 256))
    resolution = chance.choice((128, 160, 192, 224))
    policy = QuantPolicy({"*": chance.choice(list(Scheme))})
    space = chance.choice(("vit-mini", "resnet-mini"))
    rows = (resolution // 16) ** 2
    product = Kernel(
        kind=KernelKind.MATMUL,
        scheme="fp32",
        shape={"m": rows, "n": width, "k": width, "batch": 1},
        macs=rows * width * width,
        element_operations=rows * width,
        weight_bytes=4 * width * width,
        read_bytes=4 * rows * width,
        written_bytes=4 * rows * width,
        nodes=2,
    )
    arch = Arch({"depth": depth, "width": width, "resolution": resolution})
    return Candidate(space, arch, policy), (product,) * depth


def _size(kernels: tuple[Kernel, ...]) -> float:
    """Return what kernels cost relative to a usual network: operations, and a launch each."""
    return sum(kernel.macs / 5e7 + 0.01 for kernel in kernels)


def _measure(store: Store, chance: random.Random, subject: Subject, size: float, samples: int) -> None:
    device, unit, emulated = chance.choice(DEVICES)
    runtime, version, factor = chance.choice(RUNTIMES)
    subject = replace(
        subject,
        device=device,
        device_identity=digest_json(device),
        runtime=runtime,
        runtime_version=version,
        emulated=emulated,
        artifact_digest=digest_json([subject.model_digest, runtime]),
    )
    if chance.random() < FAILED_SHARE:
        store.add_failure(subject, a_failure())
        return
    typical = size * unit * factor * chance.lognormvariate(0, 0.05)
    noise = 0.25 if chance.random() < NOISY_SHARE else 0.01
    runs = [_run(chance, index, typical, noise, samples, emulated) for index in range(3)]
    summary = summarise(runs, emulated=emulated)
    verdict, reasons = verdict_of(runs, summary, QUICK, Limits(), emulated=emulated)
    measurement_id = store.begin(subject)
    for run in runs:
        store.add_run(measurement_id, run)
    store.finish(measurement_id, verdict, reasons, summary, limits=Limits())


def _run(chance: random.Random, index: int, typical: float, noise: float, samples: int, emulated: bool) -> ProcessRun:
    if emulated:
        return a_counted_run(index, [round(typical) + place for place in range(6)])
    process = typical * chance.lognormvariate(0, noise / 3)
    times_ms = [process * (1 + abs(chance.gauss(0, noise)) + (chance.random() < 0.02) * 0.2) for _ in range(samples)]
    celsius = chance.uniform(45, 70)
    after = Evidence("performance", (1800.0, 1800.0), celsius, 0, 0.9, 2 << 30)
    during = replace(CALM, foreign_s=0.3) if noise > 0.1 else CALM
    return a_run(index, times_ms, after=after, during=during)
