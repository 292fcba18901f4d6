"""Sentence pairs out of Debian's package descriptions in two languages, cleaned, and split without leakage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

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
    paragraphs: dict[Pair, None] = {}  # each once, in their order: packages share many
    for digest in sorted(sources.keys() & targets.keys()):
        source, target = sources[digest], targets[digest]
        # A title pairs always, the rest only where nothing was added or left out.
        count = len(source) if len(source) == len(target) else 1
        paragraphs.update(dict.fromkeys(map(Pair, source[:count], target[:count])))
    found: dict[str, str] = {}
    for pair in filter(_good, chain.from_iterable(map(_aligned, paragraphs))):
        found.setdefault(pair.source, pair.target)
    return [Pair(source, found[source]) for source in sorted(found)]


def split_pairs(pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Return pairs to train with and pairs to judge by.

    Sentences that differ in case, digits or signs alone count as one, and no such one stands on both sides, in either
    language: a pair to train with is dropped where its translation is one to judge by.
    """
    keyed = [(pair, key(pair.source), key(pair.target)) for pair in pairs]
    judged = [one for one in keyed if int(digest_bytes(one[1].encode())[:8], 16) % JUDGED_SHARE == 0]
    sources, targets = {source for _, source, _ in judged}, {target for _, _, target in judged}
    taught = [pair for pair, source, target in keyed if source not in sources and target not in targets]
    return taught, [pair for pair, _, _ in judged]


def key(sentence: str) -> str:
    """Return the words of a sentence, without case, digits and signs."""
    return " ".join(LETTERS.findall(sentence.lower()))


def _aligned(paragraph: Pair) -> Iterator[Pair]:
    """Yield the sentences of two paragraphs that say the same."""
    sides = paragraph.source, paragraph.target
    if all(map(_is_prose, sides)):
        ones, others = (SENTENCE_END.split(_one_line(side)) for side in sides)
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
