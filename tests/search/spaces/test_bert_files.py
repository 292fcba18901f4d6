"""Spaces out of BERT-like checkpoints: one written here in every spelling, and the real MiniLM-L6."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy.special import erf, softmax

from hwloop.errors import UsageError
from hwloop.search.spaces.bert import BertSizes
from hwloop.search.spaces.bert_files import bert_sizes, bert_space_from, bert_weights
from hwloop.search.spaces.minilm import BERT_MINILM, SIZES, minilm_folder, minilm_tokenizer
from hwloop.search.spaces.registry import load_space

DEPTH, HEADS, NEURONS, WIDTH, VOCABULARY, POSITIONS = 2, 4, 64, 32, 50, 16
CONFIG = {"model_type": "bert", "num_attention_heads": HEADS, "hidden_act": "gelu", "layer_norm_eps": 1e-6}


def sentence_embeddings(weights, heads, ids, mask, epsilon=1e-12):
    """BERT as its checkpoints mean it, in numpy: the mean of the last layer's vectors over the tokens."""

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def split(x):
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(sum(name.endswith("self.query.weight") for name in weights)):
        layer = f"encoder.layer.{number}"
        q, k, v = (split(linear(x, f"{layer}.attention.self.{side}")) for side in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
        attention = softmax(np.where(mask[:, None, None] == 1, scores, -np.inf), axis=-1)
        mixed = (attention @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = linear(x, f"{layer}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)


def checkpoint():
    """Random tensors of a small BERT, with Hugging Face's names."""
    random = np.random.default_rng(0)
    shapes = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "pooler.dense.weight": (WIDTH, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(DEPTH)):
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{layer}.{name}.weight": (WIDTH, WIDTH), f"{layer}.{name}.bias": (WIDTH,)}
        shapes |= {
            f"{layer}.intermediate.dense.weight": (NEURONS, WIDTH),
            f"{layer}.intermediate.dense.bias": (NEURONS,),
        }
        shapes |= {f"{layer}.output.dense.weight": (WIDTH, NEURONS), f"{layer}.output.dense.bias": (WIDTH,)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    shapes |= {f"{norm}.{kind}": (WIDTH,) for norm in norms for kind in ("weight", "bias")}
    return {name: random.normal(size=shape, scale=0.3).astype(np.float32) for name, shape in shapes.items()}


def write(folder, tensors=None, config=CONFIG):
    path = folder / "model.safetensors"
    save_file(checkpoint() if tensors is None else tensors, path)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return path


def embeddings(space, weights, ids, mask):
    supernet = space.supernet()
    supernet.load_state_dict(weights)
    with torch.no_grad():
        return supernet.embed(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()


def tokens_and_mask():
    ids = np.random.default_rng(1).integers(0, VOCABULARY, (3, POSITIONS))
    return ids, (np.arange(POSITIONS) < np.array([[16], [9], [1]])).astype(np.int64)


@pytest.mark.parametrize(
    "renamed",
    [
        lambda name: name,
        lambda name: f"bert.{name}",
        lambda name: name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"),
    ],
    ids=["plain", "prefixed", "old"],
)
def test_the_whole_network_computes_what_the_checkpoint_means(tmp_path, renamed):
    path = write(tmp_path, {renamed(name): value for name, value in checkpoint().items()})
    space = load_space(f"bert:{path}")
    ids, mask = tokens_and_mask()
    wanted = sentence_embeddings(checkpoint(), HEADS, ids, mask, CONFIG["layer_norm_eps"])
    np.testing.assert_allclose(embeddings(space, space.pretrained(), ids, mask), wanted, rtol=1e-4, atol=1e-5)


def test_sizes_come_from_shapes_and_heads_from_the_configuration(tmp_path):
    assert bert_sizes(write(tmp_path)) == BertSizes(
        depths=(1, 2), heads=(1, 2, 3, 4), neurons=(16, 32, 48, 64), width=WIDTH, head_width=WIDTH // HEADS,
        vocabulary=VOCABULARY, positions=POSITIONS, epsilon=1e-6,
    )  # fmt: skip


def test_half_precision_is_widened(tmp_path):
    path = write(tmp_path, {name: value.astype(np.float16) for name, value in checkpoint().items()})
    assert {value.dtype for value in bert_space_from(path).pretrained().values()} == {torch.float32}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "only it tells the number of heads"),
        ({}, "num_attention_heads is None; wanted: a divisor of the width 32"),
        ({"num_attention_heads": 5}, "num_attention_heads is 5; wanted: a divisor of the width 32"),
        ({**CONFIG, "hidden_size": 64}, "hidden_size is 64; wanted for model.safetensors: 32"),
        ({**CONFIG, "model_type": "roberta"}, "model_type is 'roberta'; wanted for model.safetensors: 'bert'"),
        ([], "this is no JSON object"),
    ],
)
def test_a_configuration_that_does_not_belong_is_told_with_what_is_wanted(tmp_path, config, words):
    with pytest.raises(UsageError, match=words):
        bert_space_from(write(tmp_path, config=config))


def test_what_is_no_bert_is_refused(tmp_path):
    with pytest.raises(UsageError, match="this is no BERT-like checkpoint"):
        bert_space_from(write(tmp_path, {"conv.weight": np.zeros((1, 1), np.float32)}))
    (tmp_path / "model.safetensors").write_text("not one")
    with pytest.raises(UsageError, match="cannot be read"):
        bert_space_from(tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="cannot be read"):
        load_space(f"bert:{tmp_path / 'missing.safetensors'}")


def test_a_checkpoint_of_other_sizes_is_told_by_a_tensor_that_differs(tmp_path):
    with pytest.raises(
        UsageError, match=r"word_embeddings.weight is \[50, 32\] \(wanted: \[30522, 384\]\), and \d+ more"
    ):
        bert_weights(write(tmp_path), SIZES)


# ── the real one ──


def test_minilm_embeds_sentences_as_its_checkpoint_does():
    ids, mask = minilm_tokenizer().encode(["A wonderful film.", "It rained all day in Rome, and we stayed in."], 24)
    wanted = sentence_embeddings(load_file(minilm_folder() / "model.safetensors"), 12, ids, mask)
    found = embeddings(BERT_MINILM, BERT_MINILM.pretrained(), ids, mask)
    assert np.abs(found - wanted).max() < 1e-4
    assert mask.sum(axis=1).tolist() == [6, 14]


def test_minilms_file_makes_the_space_that_comes_with_hwloop():
    assert bert_sizes(minilm_folder() / "model.safetensors") == SIZES
