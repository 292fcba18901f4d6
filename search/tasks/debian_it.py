"""English to Italian, from the descriptions of Debian 12's packages and their translations by Debian's volunteers.

Sentences and their tokens are prepared once and kept in hwloop's cache, in a folder that can be carried to a host
without a network. The texts are under their packages' licences: they are fetched, never passed on.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from hwloop.deadline import Deadline
from hwloop.debian_translations import from_translations
from hwloop.digests import digest_json
from hwloop.packages import PackageFiles, package_files, settle
from hwloop.paths import cache_dir
from hwloop.records import TensorSpec
from hwloop.search.subwords import Subwords
from hwloop.search.tasks.base import Data, first_input
from hwloop.search.tasks.sentence_pairs import Pair, described, sentence_pairs, split_pairs
from hwloop.search.tasks.translation import Sentences, Translation, translation_split

FETCH_LIMIT_S = 600.0
NAME = "debian-it"
VOCABULARY = 8000
MADE = 1  # one more with each change of what is made of the same files
# The release gets no changes any more: its files stay as they are.
PACKAGE = PackageFiles(
    requirement="bookworm main",
    digests={
        "Translation-en": "62f59c3cdca9786e4f7adf9002f9f5729a684adcb4667e58e448dec9b5a46c7f",
        "Translation-it": "f2010961f0968127812de8484ecead4f45b25b2cb6aeb788f9f25753fbd5cff7",
    },
    size_mb=12,
    licence="the packages' own",
)
TOKENIZER, TOKENS = "tokenizer.json", "tokens.npz"


def debian_pairs() -> tuple[list[Pair], list[Pair]]:
    """Return all pairs to train with and all to judge by.

    Raises:
        FetchError: the descriptions could not be fetched.
    """
    fetched = package_files(PACKAGE, Deadline.after(FETCH_LIMIT_S), _say, from_translations)
    english, italian = (
        described((fetched / f"Translation-{language}").read_text(), language) for language in ("en", "it")
    )
    return split_pairs(sentence_pairs(english, italian))


def prepared_folder() -> Path:
    """Return the folder with tokenizer.json and tokens.npz, made on first use.

    Raises:
        FetchError: the descriptions could not be fetched.
    """
    folder = cache_dir() / "tasks" / f"{NAME}-{digest_json([dict(PACKAGE.digests), VOCABULARY, MADE])[:16]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as arriving:
        content = Path(tempfile.mkdtemp(dir=arriving))
        _prepare(content)
        settle(content, folder)
    return folder


@cache
def debian_words() -> Subwords:
    """Return the vocabulary of both languages.

    Raises:
        FetchError: the descriptions could not be fetched.
    """
    return Subwords.read(prepared_folder() / TOKENIZER)


def load_debian_it(inputs: Sequence[TensorSpec]) -> Data:
    """Return the pairs that fit the network's length and steps, in tokens.

    Raises:
        UsageError: the network takes other inputs than a source and a target.
        FetchError: the descriptions could not be fetched.
    """
    first_input(NAME, inputs, "source", "target")
    with np.load(prepared_folder() / TOKENS) as file:
        train, judged = (
            translation_split(NAME, inputs, _sentences(file, f"{side}.source"), _sentences(file, f"{side}.target"))
            for side in ("train", "eval")
        )
        return Data(train, judged)


def _prepare(folder: Path) -> None:
    """Learn the vocabulary from the pairs to train with, and write it and all sentences in tokens."""
    taught, judged = debian_pairs()
    _say(f"Preparing {NAME}: {len(taught) + len(judged)} sentences, once.")
    words = Subwords.learned((text for pair in taught for text in (pair.source, pair.target)), VOCABULARY)
    words.write(folder / TOKENIZER)
    arrays: dict[str, np.ndarray] = {}
    for side, pairs in (("train", taught), ("eval", judged)):
        for part in ("source", "target"):
            sentences = Sentences.of(words.encode([getattr(pair, part) for pair in pairs]))
            arrays[f"{side}.{part}"] = sentences.tokens.astype(np.uint16)
            arrays[f"{side}.{part}.lengths"] = sentences.lengths.astype(np.uint16)
    np.savez_compressed(folder / TOKENS, **arrays)  # type: ignore[arg-type]


def _sentences(file: np.lib.npyio.NpzFile, name: str) -> Sentences:
    return Sentences(file[name], file[f"{name}.lengths"].astype(np.int64))


def _decode(tokens: np.ndarray) -> list[str]:
    return debian_words().decode(tokens)


def _say(words: str) -> None:
    print(words, file=sys.stderr)


DEBIAN_IT = Translation(NAME, "English to Italian, sentences about software; BLEU", VOCABULARY, load_debian_it, _decode)
