"""Sentence pairs out of Debian's package descriptions in two languages, cleaned, and split without leakage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from hwloop.digests import digest_bytes

MOST_RATIO = 2.0  # of the two sentences' letters: beyond it, one of them says something else
JUDGED_SHARE = 50  # one pair in fifty is for evaluation
LONGEST = 400  # letters
SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+(?=[A-ZÀ-Ý\"«])")
LETTERS = re.compile(r"[^\W\d_]+")
LIST_SIGNS = "*-+•"


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation."""

    source: str
    target: str


def described(text: str, language: str) -> dict[str, list[str]]:
    """Return the paragraphs of each description of a Translation file, the title first, by its Description-md5."""
    mark = f"\nDescription-{language}: "
    found = {}
    for stanza in text.strip("\n").split("\n\n"):
        head, is_there, description = stanza.partition(mark)
        if is_there:
            title, _, body = description.partition("\n")
            digest = head.rpartition("Description-md5: ")[2].strip()
            found[digest] = [title, *(f" {paragraph}" for paragraph in body.removeprefix(" ").split("\n .\n "))]
    return found


def sentence_pairs(sources: dict[str, list[str]], targets: dict[str, list[str]]) -> list[Pair]:
    """Return the pairs of descriptions with the same digest, each source once, in an order that no file decides.

    Paragraphs pair where both descriptions have as many, sentences where both paragraphs have as many; lists and tables
    are left out. So are pairs that are too long, of too different lengths, or not translated.
    """
    found: dict[str, str] = {}
    for digest in sorted(sources.keys() & targets.keys()):
        source, target = sources[digest], targets[digest]
        # A title pairs always, the rest only where nothing was added or left out.
        count = len(source) if len(source) == len(target) else 1
        for one, other in zip(source[:count], target[:count], strict=True):
            for pair in _aligned(one, other):
                if _good(pair):
                    found.setdefault(pair.source, pair.target)
    return [Pair(source, found[source]) for source in sorted(found)]


def split_pairs(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Return pairs to train with and pairs to judge by.

    Sentences that differ in case, digits or signs alone count as one, and no such one stands on both sides, in either
    language: a pair to train with is dropped where its translation is one to judge by.
    """
    judged = [pair for pair in pairs if int(digest_bytes(key(pair.source).encode())[:8], 16) % JUDGED_SHARE == 0]
    sources, targets = {key(pair.source) for pair in judged}, {key(pair.target) for pair in judged}
    taught = [pair for pair in pairs if key(pair.source) not in sources and key(pair.target) not in targets]
    return taught, judged


def key(sentence: str) -> str:
    """Return the words of a sentence, without case, digits and signs."""
    return " ".join(LETTERS.findall(sentence.lower()))


def _aligned(source: str, target: str) -> Iterator[Pair]:
    """Yield the sentences of two paragraphs that say the same."""
    if _is_prose(source) and _is_prose(target):
        ones, others = (SENTENCE_END.split(_one_line(paragraph)) for paragraph in (source, target))
        if len(ones) == len(others):
            yield from map(Pair, ones, others)


def _is_prose(paragraph: str) -> bool:
    """Say whether no line is indented further than text is, or starts as an item of a list does."""
    lines = [line.removeprefix(" ") for line in paragraph.split("\n")]
    return all(line and not line[0].isspace() and line[0] not in LIST_SIGNS for line in lines)


def _one_line(paragraph: str) -> str:
    return unicodedata.normalize("NFC", " ".join(paragraph.split()))


def _good(pair: Pair) -> bool:
    one, other = len(pair.source), len(pair.target)
    return (
        0 < max(one, other) <= LONGEST
        and max(one, other) <= MOST_RATIO * min(one, other)
        and key(pair.source) != key(pair.target)
    )
