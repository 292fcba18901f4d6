"""Descriptions become sentence pairs, and no sentence stands on both sides."""

from hypothesis import given
from hypothesis import strategies as st

from hwloop.search.tasks.debian_it import debian_pairs
from hwloop.search.tasks.sentence_pairs import Pair, described, key, sentence_pairs, split_pairs

ENGLISH = """\
Package: chess
Description-md5: 1
Description-en: game of chess
 It plays chess. It is
 quite good at it.
 .
 Openings:
  * the English one
 .
 More at example.org.

Package: go
Description-md5: 2
Description-en: game of go
 One paragraph.

Package: untranslated
Description-md5: 3
Description-en: only here
"""
ITALIAN = """\
Package: go
Description-md5: 2
Description-it: gioco del go
 Un paragrafo.
 .
 E un altro.

Package: chess
Description-md5: 1
Description-it: gioco degli scacchi
 Gioca a scacchi. È
 piuttosto bravo.
 .
 Aperture:
  * quella inglese
 .
 Altro su example.org.
"""


def pairs():
    return sentence_pairs(described(ENGLISH, "en"), described(ITALIAN, "it"))


def test_titles_and_sentences_pair_and_lists_are_left_out():
    assert {(pair.source, pair.target) for pair in pairs()} == {
        ("game of chess", "gioco degli scacchi"),
        ("It plays chess.", "Gioca a scacchi."),
        ("It is quite good at it.", "È piuttosto bravo."),
        ("More at example.org.", "Altro su example.org."),
        ("game of go", "gioco del go"),
    }


def test_what_is_no_translation_is_left_out():
    def found(source, target):
        return sentence_pairs({"1": [source]}, {"1": [target]})

    assert found("the same", "The same!") == []
    assert found("short", "una frase che dice tutt'altro") == []
    assert found("", "") == [] == found("a" * 500, "b" * 500)
    assert found("white  cat", "gatto\n bianco") == [Pair("white cat", "gatto bianco")]


SENTENCES = st.text("aB1 .", max_size=4)


@given(st.lists(st.builds(Pair, SENTENCES, SENTENCES), max_size=60))
def test_no_sentence_stands_on_both_sides(pairs):
    taught, judged = split_pairs(pairs)
    for side in ("source", "target"):
        sides = [{key(getattr(pair, side)) for pair in part} for part in (taught, judged)]
        assert not sides[0] & sides[1]
    assert {*taught, *judged} <= {*pairs}


def test_debians_own_descriptions_leak_nothing():
    taught, judged = debian_pairs()
    assert len(taught) > 120_000 and len(judged) > 2_000
    assert len({pair.source for pair in (*taught, *judged)}) == len(taught) + len(judged)
    for side in ("source", "target"):
        assert not {key(getattr(pair, side)) for pair in taught} & {key(getattr(pair, side)) for pair in judged}
