"""Compiled files are found by what they were made from, whole or not at all."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hwloop.digests import digest_bytes
from hwloop.exporter.compile_cache import CompileCache

RECIPE = {"model": "abc", "target": ["aarch64-linux-gnu"]}


@pytest.fixture
def cache(tmp_path) -> CompileCache:
    return CompileCache(tmp_path / "cache")


def test_what_was_kept_is_found_again(cache):
    assert cache.find(RECIPE) is None
    kept = cache.keep(RECIPE, "model.so", b"code", ["sort"])
    assert cache.find(dict(reversed(RECIPE.items()))) == kept
    assert kept.path.read_bytes() == b"code" and kept.digest == digest_bytes(b"code")


def test_another_recipe_is_another_file(cache):
    cache.keep(RECIPE, "model.so", b"code")
    assert cache.find({**RECIPE, "target": ["x86_64-linux-gnu"]}) is None


@pytest.mark.parametrize("name", ["model.so", "note.json"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"{}"), lambda path: path.unlink()])
def test_a_damaged_entry_is_as_good_as_none_and_can_be_made_again(cache, name, damage):
    path = cache.keep(RECIPE, "model.so", b"code").path
    damage(path.parent / name)
    assert cache.find(RECIPE) is None
    again = cache.keep(RECIPE, "model.so", b"code")
    assert again.path.read_bytes() == b"code"


def test_of_many_at_once_one_is_kept_and_all_get_it(cache, tmp_path):
    def keep(index: int):
        return cache.keep(RECIPE, "model.so", b"code %d" % index)

    with ThreadPoolExecutor(8) as pool:
        kept = set(pool.map(keep, range(8)))
    assert kept == {cache.find(RECIPE)}
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_file_that_cannot_be_kept_leaves_nothing(cache, tmp_path):
    with pytest.raises(FileNotFoundError):
        cache.keep(RECIPE, "no/folder.so", b"code")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_kernels_of_a_recipe_are_known_once_it_was_compiled(cache):
    assert cache.kernels(RECIPE) is None
    cache.keep_kernels(RECIPE, ["a", "b"])
    assert cache.kernels(RECIPE) == ["a", "b"]
    assert cache.kernels({**RECIPE, "model": "other"}) is None


def test_beyond_the_limit_files_go_that_nobody_used_for_long(tmp_path):
    cache = CompileCache(tmp_path / "cache", limit_bytes=2500)
    kept = [cache.keep({"number": number}, "model.so", bytes(1000)) for number in range(3)]
    for file, hours in zip(kept, (3, 2, 1.5), strict=True):
        used = time.time() - hours * 3600
        os.utime(file.path.parent, (used, used))
    assert cache.find({"number": 0}) is not None  # used again: now it is the youngest
    cache.keep({"number": 3}, "model.so", bytes(1000))
    assert [cache.find({"number": number}) is not None for number in range(4)] == [True, False, False, True]
