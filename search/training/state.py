"""A training run in a file, to go on from exactly: safetensors for all numbers, JSON for the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hwloop.errors import UsageError
from hwloop.search.checkpoints import own_weights, with_tied
from hwloop.search.training.trainer import Trainer

SCHEMA = "1"
WEIGHTS, OPTIMIZER = "weights.", "optimizer."


def state_path(checkpoint: Path) -> Path:
    """Return where the state of the run that makes a checkpoint is kept."""
    return checkpoint.with_name(f"{checkpoint.name}.training")


def save_state(path: Path, trainer: Trainer) -> None:
    """Write weights, optimizer, step and recipe between two steps; a file that is there is replaced at once."""
    tensors = {f"{WEIGHTS}{name}": value for name, value in own_weights(trainer.supernet).items()}
    for number, values in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{number}.{name}": value.contiguous() for name, value in values.items()}
    metadata = {
        "schema": SCHEMA,
        "recipe": json.dumps(trainer.recipe.as_json()),
        "step": str(trainer.step),
        "previous": json.dumps([dict(arch.choices) for arch in trainer.previous]),
    }
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    save_file(tensors, partial, metadata)
    partial.replace(path)


def load_state(path: Path, trainer: Trainer) -> None:
    """Bring a new trainer to where a saved one was; learning rates and random numbers follow from the step.

    Raises:
        UsageError: there is no such file, or it is of another run.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path}: no run can be resumed from it: {error}", remedy="Train without --resume.") from error
    if metadata.get("schema") != SCHEMA:
        raise UsageError(f"{path}: this is no training run of schema {SCHEMA}", remedy="Train without --resume.")
    trainer.recipe.require_same(json.loads(metadata["recipe"]))
    weights = {name.removeprefix(WEIGHTS): value for name, value in tensors.items() if name.startswith(WEIGHTS)}
    trainer.supernet.load_state_dict(with_tied(weights, trainer.supernet))
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(OPTIMIZER):
            number, _, key = name.removeprefix(OPTIMIZER).partition(".")
            states.setdefault(int(number), {})[key] = value
    groups: list[dict[str, Any]] = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": states, "param_groups": groups})
    trainer.step = int(metadata["step"])
    trainer.previous = tuple(trainer.space.choices.arch(one) for one in json.loads(metadata["previous"]))
