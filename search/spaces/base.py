"""What a search space is: choices, and a supernet that runs any subnet that they pick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hwloop.errors import UsageError
from hwloop.records import Arch, TensorSpec
from hwloop.search.spaces.choices import Choices

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Setting:
    """Sizes that no choice decides; None in a space's defaults says that it has no such size.

    `length` is in tokens, `resolution` in pixels, `steps` the tokens that a decoder makes.
    """

    batch: int = 1
    length: int | None = None
    resolution: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Part:
    """A piece of a subnet that is exported as one model; a candidate's latency is the sum of `repeats` times each."""

    name: str  # "" where there is but one
    forward: Callable[..., Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    repeats: int = 1


class Supernet(Protocol):
    """A `torch.nn.Module` whose subnets share its weights; it runs the one that was activated last."""

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on; a valid point of the space."""

    def parts(self, setting: Setting) -> tuple[Part, ...]:
        """Return what the active subnet is exported as.

        Raises:
            UsageError: a size does not fit the subnet.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the shared weights by name, as `torch.nn.Module` does."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take shared weights by name, as `torch.nn.Module` does."""

    def eval(self) -> Any:
        """Switch training behaviour off, as `torch.nn.Module` does."""


@runtime_checkable
class Writer(Protocol):
    """What a supernet is besides, whose networks write token by token; its parts are an encoder and a decoder's step.

    `forward(source, target)` returns the logits [batch, steps, words] of what follows each token of a target. What the
    encoder puts out, the step takes in under the same name; it takes `token` and `position`, too, and as `past_...`,
    zeros at first, what it put out as `present_...` the step before. Its first output are the logits [batch, 1, words].
    """

    @property
    def words(self) -> Mapping[str, int]:
        """How many tokens there are for `source` and for `target`."""

    def taught(self, setting: Setting) -> tuple[TensorSpec, ...]:
        """Return what `forward` takes: `source` [batch, length] and `target` [batch, steps], both int64."""

    def write(self, source: torch.Tensor, steps: int) -> torch.Tensor:
        """Return the likeliest token at each of `steps` steps [batch, steps], after END nothing but PAD."""


@dataclass(frozen=True)
class Space:
    """A search space: named choices, and how to build the network that they choose from.

    `build` makes the supernet on torch's current default device, with weights drawn from torch's generator.
    `pretrained` returns trained weights for it, where there are some. `defaults` are the sizes that it takes.
    """

    name: str
    summary: str
    choices: Choices
    build: Callable[[], Supernet]
    defaults: Setting = Setting()
    pretrained: Callable[[], dict[str, torch.Tensor]] | None = None

    def setting(self, **given: int | None) -> Setting:
        """Return the sizes to export with: those given (not None), else the defaults.

        Raises:
            UsageError: the space has no such size, or it is below 1.
        """
        chosen = {name: size for name, size in given.items() if size is not None}
        taken = [name for name, size in vars(self.defaults).items() if size is not None]
        for name, size in chosen.items():
            if name not in taken:
                chosen_so = (
                    f": {name} is one of its choices" if name in {choice.name for choice in self.choices} else ""
                )
                raise UsageError(
                    f"space {self.name} takes no {name}{chosen_so}",
                    remedy=f"It takes {', '.join(taken)}; leave {name} out.",
                )
            if size < 1:
                raise UsageError(f"{name} {size} is below 1", remedy="Give a positive whole number.")
        return replace(self.defaults, **chosen)

    def supernet(self, seed: int = 0) -> Supernet:
        """Return a supernet with weights drawn from a seed, for inference; torch's own random state is left alone."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            supernet = self.build()
        supernet.eval()
        return supernet

    def outline(self) -> Supernet:
        """Return a supernet without weights: enough for layer names, shapes and costs."""
        import torch

        with torch.device("meta"):
            supernet = self.build()
        supernet.eval()
        return supernet
