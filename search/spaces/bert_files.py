"""Reads BERT-like checkpoints: safetensors with Hugging Face's names, with or without a prefix such as `bert.`.

Sizes are read from the tensors' shapes; the number of heads, which no shape tells, from the config.json beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hwloop.errors import UsageError
from hwloop.search.spaces.base import Space
from hwloop.search.spaces.bert import Bert, BertSizes, bert_space
from hwloop.search.spaces.bert_order import by_importance

WORDS = "embeddings.word_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
KINDS = "embeddings.token_type_embeddings.weight"
UP = "encoder.layer.0.intermediate.dense.weight"
QUERY = ".attention.self.query.weight"
HEADS = "num_attention_heads"
# What a config.json must say, where it says anything of these.
FIXED = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
# A layer's modules: ours, theirs.
MODULES = {
    "attention.q": "attention.self.query",
    "attention.k": "attention.self.key",
    "attention.v": "attention.self.value",
    "attention.out": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def bert_space_from(path: Path) -> Space:
    """Return the space of a checkpoint's subnets, which starts from its weights; `bert:PATH` in the registry.

    Raises:
        UsageError: the file is no BERT-like checkpoint, or its config.json is missing or tells of another network.
    """
    sizes = bert_sizes(path)
    summary = f"subnets of the encoder in {path.name}"
    return bert_space(f"bert-{path.stem}", summary, sizes, partial(bert_weights, path, sizes))


def bert_sizes(path: Path) -> BertSizes:
    """Return the sizes of the space whose largest network a checkpoint is.

    Raises:
        UsageError: as `bert_space_from`.
    """
    with _opened(path) as (file, names):
        shapes = {name: tuple(file.get_slice(stored).get_shape()) for name, stored in names.items()}
    if not {WORDS, POSITIONS, UP} <= shapes.keys():
        raise UsageError(
            f"{path}: this is no BERT-like checkpoint: {WORDS}, {POSITIONS} or {UP} is not in it",
            remedy="Give a safetensors file with Hugging Face's names of tensors.",
        )
    vocabulary, width = shapes[WORDS]
    figures = {
        "num_hidden_layers": sum(name.startswith("encoder.") and name.endswith(QUERY) for name in shapes),
        "hidden_size": width,
        "intermediate_size": shapes[UP][0],
        "vocab_size": vocabulary,
        "max_position_embeddings": shapes[POSITIONS][0],
    }
    config = _config(path.with_name("config.json"), {**FIXED, **figures}, path)
    return BertSizes.of(
        depth=figures["num_hidden_layers"],
        heads=config["num_attention_heads"],
        neurons=figures["intermediate_size"],
        width=width,
        vocabulary=vocabulary,
        positions=figures["max_position_embeddings"],
        epsilon=float(config.get("layer_norm_eps", BertSizes.epsilon)),
    )


def bert_weights(path: Path, sizes: BertSizes) -> dict[str, Tensor]:
    """Return a checkpoint's weights for the supernet of these sizes, heads and neurons ordered by their norm.

    The head, which no checkpoint has, is always the same random one.

    Raises:
        UsageError: the file cannot be read, or a tensor is missing or has another shape.
    """
    with _opened(path) as (file, names):
        theirs = {name: file.get_tensor(stored) for name, stored in names.items()}
    with torch.device("meta"):
        shapes = {name: list(value.shape) for name, value in Bert(sizes).state_dict().items()}
    depth = max(sizes.depths)
    known = dict(_names(depth))
    found = {name: list(theirs[other].shape) if other in theirs else "missing" for name, other in known.items()}
    wrong = [
        f"{known[name]} is {found[name]} (wanted: {shapes[name]})" for name in known if found[name] != shapes[name]
    ]
    if wrong:
        more = f", and {len(wrong) - 1} more" if wrong[1:] else ""
        raise UsageError(
            f"{path}: the checkpoint does not fit the space: {wrong[0]}{more}",
            remedy=f"Make a space of its own from it: bert:{path}.",
        )
    ours = {name: theirs[other].float() for name, other in known.items()}
    if KINDS in theirs:
        ours["position"] = ours["position"] + theirs[KINDS][0].float()
    ours["head.weight"] = 0.02 * torch.randn(shapes["head.weight"], generator=torch.Generator().manual_seed(0))
    ours["head.bias"] = torch.zeros(shapes["head.bias"])
    return by_importance(ours, depth, sizes.head_width)


def _names(depth: int) -> Iterator[tuple[str, str]]:
    """Yield what the supernet's tensors are called there, and what a checkpoint calls them."""
    yield "words.weight", WORDS
    yield "position", POSITIONS
    modules = {"norm": "embeddings.LayerNorm"}
    for number in range(depth):
        modules |= {f"layers.{number}.{mine}": f"encoder.layer.{number}.{other}" for mine, other in MODULES.items()}
    for mine, other in modules.items():
        yield f"{mine}.weight", f"{other}.weight"
        yield f"{mine}.bias", f"{other}.bias"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """Open a checkpoint; yield it, and its tensors' names without prefix, each with the name that stands there."""
    try:
        with safe_open(path, "pt") as file:
            stored = list(file.keys())
            prefix = next((name.removesuffix(WORDS) for name in stored if name.endswith(WORDS)), "")
            yield file, {_current(name.removeprefix(prefix)): name for name in stored}
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"{path}: this file cannot be read: {error}", remedy="Give the path of a safetensors file."
        ) from error


def _current(name: str) -> str:
    """Return today's name of a tensor; the first checkpoints of BERT have older ones."""
    for old, new in OLD_NAMES.items():
        name = name.replace(old, new)
    return name


def _config(path: Path, wanted: Mapping[str, Any], checkpoint: Path) -> dict[str, Any]:
    """Return a checkpoint's configuration, which has a number of heads and, where it says anything, what is wanted."""
    try:
        config = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(
            f"{path}: this file cannot be read ({error.strerror}), and only it tells the number of heads",
            remedy=f'Put the checkpoint\'s config.json beside {checkpoint.name}; {{"{HEADS}": 12}} will do.',
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: this is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path}: this is no JSON object", remedy=f'It must be like {{"{HEADS}": 12}}.')
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise UsageError(
                f"{path}: {key} is {config[key]!r}; wanted for {checkpoint.name}: {value!r}",
                remedy="Give a BERT with GELU and absolute positions, and the config.json that belongs to it.",
            )
    heads = config.get(HEADS)
    if not isinstance(heads, int) or heads < 1 or wanted["hidden_size"] % heads:
        raise UsageError(
            f"{path}: {HEADS} is {heads!r}; wanted: a divisor of the width {wanted['hidden_size']}",
            remedy="Give the config.json that belongs to the checkpoint.",
        )
    return config
