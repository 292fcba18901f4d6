"""Where the time of a model's call goes, kernel by kernel."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class KernelCost:
    """One kernel as its runtime names it.

    `kind` is the operator's type with ONNX Runtime; with TVM the rule that made it, or `runtime` for what the virtual
    machine does itself. It runs so many times in a call, all of which together cost `cost` milliseconds, or
    instructions on an emulated device.
    """

    name: str
    kind: str
    runs: float
    cost: float


@dataclass(frozen=True)
class Profile:
    """The kernels of one model on one device with one runtime, the dearest first.

    What the runtime's profiler adds to each kernel is taken off, as far as the kernels' sum exceeds the call.
    `call` is the median of `calls` whole calls that no profiler looked at, in `unit`: `ms` or `instructions`.
    """

    model: str
    model_digest: str
    artifact_digest: str
    inputs_digest: str
    device: str
    device_identity: str
    runtime: str
    runtime_version: str
    threads: int
    unit: str
    calls: int
    call: float
    kernels: tuple[KernelCost, ...]

    @property
    def total(self) -> float:
        """What all kernels cost together."""
        return sum(kernel.cost for kernel in self.kernels)

    @property
    def kinds(self) -> dict[str, float]:
        """The shares of the kinds of kernels, the dearest first."""
        sums: dict[str, float] = {}
        for kernel in self.kernels:
            sums[kernel.kind] = sums.get(kernel.kind, 0.0) + kernel.cost
        return {kind: cost / (self.total or 1.0) for kind, cost in sorted(sums.items(), key=lambda one: -one[1])}

    def as_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class StoredProfile:
    """A profile in a store: its id, and when it was taken."""

    id: str
    created_at: str
    profile: Profile
