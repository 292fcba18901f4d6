"""A supernet's weights in a file: safetensors, with the space and its choices, so that no other space takes them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hwloop.errors import UsageError
from hwloop.search.spaces.base import Space, Supernet
from hwloop.search.subnets import module_of

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = "1"
RANDOM, PRETRAINED = "random", "pretrained"
SHOWN = 3  # differences that an error names


def save_checkpoint(path: Path, space: Space, supernet: Supernet) -> None:
    """Write a supernet's weights; a file that is there is replaced when the new one is complete."""
    choices = {choice.name: choice.values for choice in space.choices}
    metadata = {"schema": SCHEMA, "space": space.name, "choices": json.dumps(choices)}
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    save_file(own_weights(supernet), partial, metadata)
    partial.replace(path)


def supernet_with(space: Space, weights: str, seed: int = 0) -> Supernet:
    """Return a supernet with weights of one's choice: `random` (from `seed`), `pretrained`, or a checkpoint's file.

    Raises:
        UsageError: the space has no pretrained weights, or the file is no checkpoint of it.
        FetchError: pretrained weights could not be fetched.
    """
    supernet = space.supernet(seed)
    if weights == PRETRAINED:
        if space.pretrained is None:
            raise UsageError(f"space {space.name} has no pretrained weights", remedy="Use random, or a checkpoint.")
        supernet.load_state_dict(space.pretrained())
    elif weights != RANDOM:
        load_checkpoint(Path(weights), space, supernet)
    return supernet


def load_checkpoint(path: Path, space: Space, supernet: Supernet) -> None:
    """Give a supernet the weights of a file that `save_checkpoint` wrote.

    A space may have fewer values than the one that was saved, as restricted choices have: their weights are there.

    Raises:
        UsageError: the file is no checkpoint, is one of another space, or has tensors of other sizes.
    """
    try:
        with safe_open(path, "pt") as file:
            _check_space(path, file.metadata() or {}, space)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path}: this file cannot be read: {error}", remedy="Give a checkpoint of hwloop.") from error
    weights = with_tied(weights, supernet)
    check_weights(f"{path}", weights, supernet)
    supernet.load_state_dict(weights)


def own_weights(supernet: Supernet) -> dict[str, Tensor]:
    """Return the weights by name, those that stand under several names under their first one alone."""
    tied = _tied(supernet)
    return {name: value.contiguous() for name, value in supernet.state_dict().items() if name not in tied}


def with_tied(weights: dict[str, Tensor], supernet: Supernet) -> dict[str, Tensor]:
    """Return weights, as `own_weights` returned them, under all their names."""
    return {**weights, **{name: weights[first] for name, first in _tied(supernet).items() if first in weights}}


def _tied(supernet: Supernet) -> dict[str, str]:
    """Return the first name of each parameter that has several, by each of the others."""
    first: dict[int, str] = {}
    named = module_of(supernet).named_parameters(remove_duplicate=False)
    return {name: one for name, value in named if (one := first.setdefault(id(value), name)) != name}


def check_weights(source: str, weights: dict[str, Any], supernet: Supernet) -> None:
    """See that weights by name fit a supernet.

    Raises:
        UsageError: tensors are missing, unknown or of another shape; the first few are named.
    """
    wanted = {name: list(value.shape) for name, value in supernet.state_dict().items()}
    found = {name: list(value.shape) for name, value in weights.items()}
    wrong = [
        f"{name}: {found.get(name, 'missing')} in the file, {wanted.get(name, 'unknown')} in the space"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    if wrong:
        raise UsageError(f"{source}: {_first(wrong)}", remedy="Give a checkpoint of the same space and sizes.")


def _check_space(path: Path, metadata: dict[str, str], space: Space) -> None:
    if metadata.get("schema") != SCHEMA:
        raise UsageError(
            f"{path}: this is no checkpoint of schema {SCHEMA} (it says {metadata.get('schema', 'nothing')!r})",
            remedy="Give a file that hwloop wrote; `bert:FILE.safetensors` makes a space out of another's weights.",
        )
    if metadata["space"] != space.name:
        raise UsageError(
            f"{path}: this is a checkpoint of the space {metadata['space']}, not of {space.name}",
            remedy=f"Name the space {metadata['space']}, or give a checkpoint of {space.name}.",
        )
    saved: dict[str, list[Any]] = json.loads(metadata["choices"])
    strange = [
        f"{choice.name} was chosen from {saved.get(choice.name, 'nothing')}, and here it is from {list(choice.values)}"
        for choice in space.choices
        if not set(choice.values) <= set(saved.get(choice.name, []))
    ]
    if strange:
        raise UsageError(
            f"{path}: this is a checkpoint of other choices: {_first(strange)}",
            remedy="Restrict the choices to those of the checkpoint, or train anew.",
        )


def _first(problems: list[str]) -> str:
    more = len(problems) - SHOWN
    return "; ".join(problems[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
