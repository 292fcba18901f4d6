"""What is dropped from a folder with a size limit."""

import os
import time

from hwloop.least_used import drop_least_used


def entry(root, name, size_bytes, used_s_ago):
    folder = root / name
    folder.mkdir()
    (folder / "note").touch()
    (folder / "content").write_bytes(bytes(size_bytes))
    used_s = time.time() - used_s_ago
    os.utime(folder, (used_s, used_s))
    return folder


def left(root):
    return sorted(path.name for path in root.iterdir())


def test_what_was_used_longest_ago_goes_until_the_rest_fits(tmp_path):
    for number in range(5):
        entry(tmp_path, f"used{number}", 1000, used_s_ago=100 * number)
    drop_least_used(tmp_path, "note", 2500, keep=tmp_path / "none")
    assert left(tmp_path) == ["used0", "used1"]


def test_within_the_limit_nothing_goes(tmp_path):
    entry(tmp_path, "one", 1000, used_s_ago=10_000)
    drop_least_used(tmp_path, "note", 1000, keep=tmp_path / "none")
    assert left(tmp_path) == ["one"]


def test_what_is_to_be_kept_stays_however_old_and_large(tmp_path):
    old = entry(tmp_path, "old", 5000, used_s_ago=10_000)
    entry(tmp_path, "young", 1000, used_s_ago=1)
    drop_least_used(tmp_path, "note", 100, keep=old)
    assert left(tmp_path) == ["old"]


def test_what_was_used_lately_is_spared(tmp_path):
    entry(tmp_path, "old", 1000, used_s_ago=200)
    entry(tmp_path, "young", 1000, used_s_ago=50)
    drop_least_used(tmp_path, "note", 0, keep=tmp_path / "none", spared_s=100)
    assert left(tmp_path) == ["young"]


def test_folders_without_the_marker_are_no_entries(tmp_path):
    (entry(tmp_path, "other", 1000, used_s_ago=100) / "note").unlink()
    (tmp_path / "file").write_bytes(bytes(1000))
    drop_least_used(tmp_path, "note", 0, keep=tmp_path / "none")
    assert left(tmp_path) == ["file", "other"]
