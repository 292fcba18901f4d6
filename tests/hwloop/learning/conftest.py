"""A store with simulated measurements of a made-up space: latencies by a roofline with a launch cost."""

from functools import partial

import numpy as np
import pytest

from hwloop.digests import digest_json
from hwloop.learning.networks import Network
from hwloop.records import Arch, Candidate, Costs, Kernel, KernelKind, ModelFacts, Summary, Verdict
from hwloop.store import Models, Store
from hwloop.testing.records import a_run, a_subject

SPACE = "toy"
MIXERS = ("pool", "softmax")


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "m.sqlite") as opened:
        yield opened


def network(depth, width, mixer):
    """A made-up candidate: layers of two products, with a softmax between them where the mixer is one."""
    candidate = Candidate(SPACE, Arch({"depth": depth, "width": width, "mixer": mixer}))
    size = {"m": 64, "n": width, "k": width, "batch": 1}
    product = Kernel(
        KernelKind.MATMUL, "fp32", size, 64 * width**2, 64 * width, 4 * width**2, 256 * width, 256 * width, 2
    )
    softmax = Kernel(KernelKind.SOFTMAX, "fp32", {"m": 64, "n": width}, 0, 320 * width, 0, 256 * width, 256 * width, 1)
    layer = (product, softmax, product) if mixer == "softmax" else (product, product)
    return Network(f"{SPACE}-{candidate.digest[:8]}", layer * depth, candidate)


@pytest.fixture(scope="session")
def networks():
    """Sixty different candidates in random order."""
    made = [network(depth, 64 * width, mixer) for depth in range(2, 8) for width in range(1, 6) for mixer in MIXERS]
    return [made[place] for place in np.random.default_rng(0).permutation(len(made))]


def board(launch_ms, operations_per_ms, bytes_per_ms, crowded=False):
    """A simulated board: a function from networks to what they take; a network's noise on it is always the same.

    If `crowded`, products are the slower the wider they are, as if for want of cache.
    """

    def latency_ms(network, noise=0.02):
        own = digest_json([network.name, launch_ms, operations_per_ms, bytes_per_ms])
        chance = np.random.default_rng(int(own[:8], 16))
        share = 64 / network.kernels[0].shape["n"] if crowded else 1
        takes = [max(one.operations / operations_per_ms / share, one.bytes / bytes_per_ms) for one in network.kernels]
        return (sum(takes) + launch_ms * len(takes)) * float(np.exp(noise * chance.standard_normal()))

    return latency_ms


latency_ms = board(2e-3, 4e6, 2e6)


@pytest.fixture(scope="session")
def simulated_ms():
    """What a simulated board takes for a network, with some noise."""
    return latency_ms


@pytest.fixture(scope="session")
def simulated_board():
    """A function that makes a simulated board: of a launch cost in ms, and operations and bytes in a ms."""
    return board


@pytest.fixture(scope="session")
def measured_into():
    """A function that puts measurements of networks into a store, as `hwloop measure` would."""

    def put(store, networks, verdict=Verdict.VALID, value=latency_ms, **changes):
        for network in networks:
            digest = digest_json([network.name, "file"])
            subject = a_subject(model=network.name, model_digest=digest, artifact_digest=digest, **changes)
            costs = Costs(0, 0, 0, 0, network.kernels)
            Models(store).add([ModelFacts(digest, subject.inputs_digest, network.name, costs, network.candidate)])
            name = "insns_per_call" if subject.emulated else "median_ms"
            begun = store.begin(subject)
            store.add_run(begun, a_run())
            store.finish(begun, verdict, (), Summary(samples=30, **{name: value(network)}))

    return put


@pytest.fixture
def measured(store, measured_into):
    """The same for this test's store."""
    return partial(measured_into, store)
