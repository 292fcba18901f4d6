"""Examples of a task as calibration wants them: batches of inputs for every part of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch

from hwloop.search.spaces.base import Setting, Space, Supernet, Writer
from hwloop.search.subnets import module_of
from hwloop.search.tasks.base import Split
from hwloop.search.tokens import PAD

Batch = Mapping[str, np.ndarray]


def calibration_batches(space: Space, supernet: Supernet, setting: Setting, examples: Split) -> list[Batch]:
    """Return inputs for the parts of the largest network, `setting.batch` examples each; an odd rest is left out.

    For a decoder's step these are places in the examples' targets, one for each batch, and what was before them.
    """
    # An incomplete batch fits no input of a fixed shape.
    whole = examples.take(slice(len(examples) // setting.batch * setting.batch))
    batches: list[Batch] = [batch.inputs for batch in whole.batches(setting.batch)]
    if not isinstance(supernet, Writer):
        return batches
    supernet.activate(space.choices.largest)
    sources = [{"source": batch["source"]} for batch in batches]
    return [*sources, *_steps(supernet, setting, whole)]


def _steps(supernet: Supernet, setting: Setting, examples: Split) -> Iterator[Batch]:
    """Yield the inputs of a decoder's step for each batch, at a place drawn from its longest target."""
    count = len(examples) // setting.batch
    lengths = (examples.inputs["target"] != PAD).sum(axis=1).reshape(count, setting.batch).max(axis=1)
    places = np.random.default_rng(0).integers(lengths)
    device = next(module_of(supernet).parameters()).device
    source, target = (torch.from_numpy(examples.inputs[name]).to(device) for name in ("source", "target"))
    encoder, step = supernet.parts(replace(setting, batch=len(examples)))
    with torch.no_grad():
        memory = encoder.forward(source)
        past = [memory[0].new_zeros(spec.shape) for spec in step.inputs[2 + len(memory) :]]
        for place in range(int(places.max(initial=-1)) + 1):
            position = target.new_full((1,), place)
            inputs = [target[:, place : place + 1], position, *memory, *past]
            past = step.forward(*inputs)[1:]
            for number in np.flatnonzero(places == place):
                rows = slice(number * setting.batch, (number + 1) * setting.batch)
                taken = [value if value is position else value[rows] for value in inputs]
                yield {spec.name: one.cpu().numpy().copy() for spec, one in zip(step.inputs, taken, strict=True)}
