"""Sentences of film reviews and whether they praise: out of the source package of vaderSentiment.

10,605 sentences, each rated by 20 people from -4 to 4 (Hutto and Gilbert, ICWSM 2014). Those whose mean is near zero
are left out.
"""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hwloop.deadline import Deadline
from hwloop.digests import digest_bytes
from hwloop.packages import PackageFiles, package_files
from hwloop.records import TensorSpec
from hwloop.search.spaces.minilm import minilm_tokenizer
from hwloop.search.tasks.base import Classification, Data, Split, first_input
from hwloop.source_packages import from_source

FETCH_LIMIT_S = 600.0
ARCHIVE = "hutto_ICWSM_2014.tar.gz"
SENTENCES = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
FOLDER = "vaderSentiment-3.3.2"
PACKAGE = PackageFiles(
    requirement="vaderSentiment==3.3.2",
    digests={
        f"{FOLDER}/additional_resources/{ARCHIVE}": "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa",
        f"{FOLDER}/LICENSE.txt": "74cfe41cdbf7f6925aeb4c18c148ec8db042540edb6739fd81069aa4e3c8b118",
    },
    size_mb=3,
    licence="MIT",
)
SOURCE_DIGEST = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
NEUTRAL = 0.5  # mean ratings nearer to zero than this say neither
JUDGED_SHARE = 5  # one sentence in five is for evaluation


def rated_sentences() -> list[tuple[str, float]]:
    """Return all sentences with their mean ratings.

    Raises:
        FetchError: the package could not be fetched.
    """
    fetch = partial(from_source, digest=SOURCE_DIGEST)
    say = partial(print, file=sys.stderr)
    return _sentences(package_files(PACKAGE, Deadline.after(FETCH_LIMIT_S), say, fetch) / ARCHIVE)


def load_reviews(inputs: Sequence[TensorSpec]) -> Data:
    """Return the sentences in MiniLM's tokens at the network's length; label 1 is praise.

    A sentence's own digest says whether it is judged by, so that no sentence stands on both sides.

    Raises:
        FetchError: a package could not be fetched.
    """
    spec = first_input("reviews", inputs, "input_ids", "attention_mask")
    rated = [(text, rating) for text, rating in rated_sentences() if abs(rating) > NEUTRAL]
    ids, mask = minilm_tokenizer().encode([text for text, _ in rated], int(spec.shape[1]))
    labels = np.array([rating > 0 for _, rating in rated], np.int64)
    every = Split({"input_ids": ids, "attention_mask": mask}, labels)
    judged = np.array([int(digest_bytes(text.encode())[:8], 16) % JUDGED_SHARE == 0 for text, _ in rated])
    return Data(every.take(~judged), every.take(judged))


def _sentences(archive: Path) -> list[tuple[str, float]]:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(SENTENCES)
        assert file is not None  # the archive's digest was right
        lines = io.TextIOWrapper(file, encoding="utf-8").read().splitlines()
    return [(text, float(rating)) for _, rating, text in (line.split("\t", 2) for line in lines if line)]


REVIEWS = Classification("reviews", "whether a sentence of a film review praises; MiniLM's tokens", 2, load_reviews)
