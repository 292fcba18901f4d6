"""The cache on a device: named by content, closed to what is outside, within its limit, safe among sessions."""

import hashlib
import os
import stat
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.runner import cache as runner_cache
from hwloop.devices.runner.cache import Cache, within
from hwloop.devices.runner.wire import Refused

FOLDER = "f" * 64


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path):
    return Cache(str(tmp_path / "cache"))


def arrive(cache, data, digest=None, name="x"):
    """Let a file arrive and be adopted."""
    digest = digest or digest_of(data)
    with open(f"{cache.root}/incoming/{name}", "wb") as file:
        file.write(data)
    cache.adopt({"files": {digest: name}})
    return digest


def assemble(cache, files, archives=(), folder=FOLDER):
    cache.assemble({"folder": folder, "files": files, "archives": list(archives)})


def age(path, seconds_ago):
    """Have a file or a folder used last some time ago."""
    then = os.stat(path).st_mtime - seconds_ago
    os.utime(path, (then, then))


def below(folder):
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


class TestArrival:
    def test_a_file_is_taken_by_its_digest(self, cache):
        digest = arrive(cache, b"model")
        with open(cache.blob(digest), "rb") as file:
            assert file.read() == b"model"
        assert os.listdir(f"{cache.root}/incoming") == []

    @pytest.mark.parametrize("data", [b"", b"mode", b"model\0", b"other"])
    def test_a_damaged_file_is_refused_and_removed(self, cache, data):
        with pytest.raises(Refused, match="damaged"):
            arrive(cache, data, digest_of(b"model"))
        assert below(cache.root) == [f"{cache.root}/lock"]

    def test_a_file_that_did_not_arrive_is_an_error(self, cache):
        with pytest.raises(FileNotFoundError):
            cache.adopt({"files": {digest_of(b""): "nothing"}})

    def test_what_is_there_is_not_missing(self, cache):
        here, gone = arrive(cache, b"here"), digest_of(b"gone")
        assemble(cache, {"a": here})
        assert cache.missing({"blobs": [here, gone], "folders": [FOLDER]}) == {"blobs": [gone], "folders": []}

    def test_everything_is_for_its_owner_alone(self, cache):
        for name in ("", "blobs", "folders", "incoming"):
            assert stat.S_IMODE(os.stat(f"{cache.root}/{name}").st_mode) == 0o700

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
    def test_a_folder_that_others_may_write_to_is_refused(self, tmp_path, mode):
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(mode)
        with pytest.raises(Refused, match="writable by others"):
            Cache(str(tmp_path / "open"))


class TestFolders:
    def test_a_folder_is_whole_or_not_there(self, cache):
        here = arrive(cache, b"here")
        with pytest.raises(FileNotFoundError):
            assemble(cache, {"a": here, "b": digest_of(b"gone")})
        assert os.listdir(f"{cache.root}/folders") == os.listdir(f"{cache.root}/incoming") == []

    def test_a_folder_that_is_there_is_left_as_it_is(self, cache):
        assemble(cache, {"a": arrive(cache, b"one")})
        assemble(cache, {"b": arrive(cache, b"two")})
        assert os.listdir(cache.folder(FOLDER)) == ["a"]

    def test_files_stand_under_their_names(self, cache):
        assemble(cache, {"deep/er/a": arrive(cache, b"one"), "b": arrive(cache, b"one")})
        assert [path.removeprefix(cache.folder(FOLDER)) for path in below(cache.folder(FOLDER))] == ["/b", "/deep/er/a"]


names = st.text(st.sampled_from("./\\a\0 ~\n"), max_size=8) | st.text(max_size=8)


@given(names)
def test_whatever_a_name_holds_it_stays_within_its_folder(name):
    try:
        path = within("/cache/folder", name)
    except Refused:
        return
    assert os.path.normpath(path) == path and path.startswith("/cache/folder/")


def archive_of(tmp_path, members, compression=zipfile.ZIP_DEFLATED):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


class TestArchives:
    def unpack(self, cache, path):
        digest = arrive(cache, path.read_bytes())
        assemble(cache, {}, [digest])
        assert not os.path.exists(cache.blob(digest))  # its content stands unpacked

    def refuse(self, cache, path, match):
        with pytest.raises(Refused, match=match):
            self.unpack(cache, path)
        assert os.listdir(f"{cache.root}/folders") == os.listdir(f"{cache.root}/incoming") == []

    def test_it_is_unpacked(self, cache, tmp_path):
        self.unpack(cache, archive_of(tmp_path, [("a/b", "x"), ("a/c", "y" * 1000), ("empty/", "")]))
        assert [os.path.basename(path) for path in below(cache.folder(FOLDER))] == ["b", "c"]

    @pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "a//b", "./a"])
    def test_names_that_lead_outside_are_refused(self, cache, tmp_path, name):
        self.refuse(cache, archive_of(tmp_path, [(name, "x")]), "outside")

    def test_links_are_refused(self, cache, tmp_path):
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        self.refuse(cache, archive_of(tmp_path, [(link, "/etc/passwd")]), "link")

    def test_a_bomb_is_refused_before_it_is_unpacked(self, cache, tmp_path, monkeypatch):
        monkeypatch.setattr(runner_cache, "MOST_UNPACKED_BYTES", 10_000)
        self.refuse(cache, archive_of(tmp_path, [("a", "0" * 6000), ("b", "0" * 6000)]), "more than is allowed")

    def test_too_many_files_are_refused(self, cache, tmp_path, monkeypatch):
        monkeypatch.setattr(runner_cache, "MOST_MEMBERS", 3)
        self.refuse(cache, archive_of(tmp_path, [(str(number), "") for number in range(4)]), "more than is allowed")

    def test_an_archive_that_understates_its_size_does_not_get_more(self, cache, tmp_path):
        path = archive_of(tmp_path, [("a", b"0" * 5000)])
        data = path.read_bytes()
        path.write_bytes(data.replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little")))
        self.refuse(cache, path, "cannot be unpacked")

    @pytest.mark.parametrize("cut", [1, 30, 60])
    def test_a_damaged_one_is_refused(self, cache, tmp_path, cut):
        path = archive_of(tmp_path, [("a", os.urandom(200))])
        path.write_bytes(path.read_bytes()[:-cut])
        self.refuse(cache, path, "cannot be unpacked")

    def test_one_with_a_broken_member_is_refused(self, cache, tmp_path):
        path = archive_of(tmp_path, [("a", b"abc" * 1000)])
        data = bytearray(path.read_bytes())
        data[34:40] = b"\xff" * 6
        path.write_bytes(data)
        self.refuse(cache, path, "cannot be unpacked")

    @pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_compression_that_nobody_uses_is_refused(self, cache, tmp_path, compression):
        self.refuse(cache, archive_of(tmp_path, [("a", "x")], compression), "compressed")

    def test_an_encrypted_one_is_refused(self, cache, tmp_path):
        path = archive_of(tmp_path, [("a", "x")])
        data = bytearray(path.read_bytes())
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(data)
        self.refuse(cache, path, "cannot be unpacked")


class TestLimit:
    def test_what_was_not_used_for_longest_goes_first(self, cache):
        digests = [arrive(cache, bytes([number]) * 1000) for number in range(4)]
        for number, digest in enumerate(digests):
            age(cache.blob(digest), 1000 - number)
        cache.missing({"blobs": [digests[0]], "folders": []})  # used again
        assert cache.trim(2000, set()) == 2000
        assert sorted(os.listdir(f"{cache.root}/blobs")) == sorted([digests[0], digests[3]])

    def test_what_is_kept_stays_even_beyond_the_limit(self, cache):
        one, other = arrive(cache, b"1" * 1000), arrive(cache, b"2" * 1000)
        assert cache.trim(0, {one}) == 1000
        assert os.listdir(f"{cache.root}/blobs") == [one] and other != one

    def test_a_blob_counts_once_and_goes_with_its_last_folder(self, cache):
        shared = arrive(cache, b"s" * 1000)
        assemble(cache, {"a": shared}, folder="1" * 64)
        assemble(cache, {"a": shared}, folder="2" * 64)
        assert cache.trim(1000, set()) == 0
        assert cache.trim(999, {"2" * 64}) == 0
        assert os.path.exists(f"{cache.folder('2' * 64)}/a")
        assert cache.trim(0, set()) == 1000
        assert below(cache.root) == [f"{cache.root}/lock"]

    def test_within_the_limit_nothing_goes(self, cache):
        arrive(cache, b"1" * 1000)
        assert cache.trim(1000, set()) == 0

    def test_runners_of_other_versions_go(self, cache, monkeypatch):
        for name in ("runner-old.py", "runner-older.pyz", "runner-mine.pyz", "notes.txt"):
            with open(f"{cache.root}/{name}", "w") as file:
                file.write("x" * 100)
        monkeypatch.setattr("sys.argv", [f"{cache.root}/runner-mine.pyz"])
        assert cache.trim(10**9, set()) == 200
        assert sorted(set(os.listdir(cache.root)) - {"blobs", "folders", "incoming"}) == [
            "lock",
            "notes.txt",
            "runner-mine.pyz",
        ]


class TestOtherSessions:
    """Devices with one network home have one cache, and a lease each."""

    def test_nothing_goes_while_another_session_uses_the_cache(self, cache):
        digest = arrive(cache, b"theirs")
        other = Cache(cache.root)
        other.missing({"blobs": [digest], "folders": []})
        with open(f"{cache.root}/incoming/arriving", "w") as file:
            file.write("half")
        assert cache.trim(0, set()) == cache.sweep() == 0
        assert os.path.exists(cache.blob(digest)) and os.path.exists(f"{cache.root}/incoming/arriving")
        os.close(other.lock)  # as when its process ends
        assert cache.sweep() == 4
        assert cache.trim(0, set()) == 6

    def test_one_that_only_looks_keeps_nothing_there(self, cache):
        arrive(cache, b"old")
        looking = Cache(cache.root)
        assert cache.trim(0, set()) == 3
        os.close(looking.lock)

    def test_after_trimming_the_own_use_still_counts(self, cache):
        digest = arrive(cache, b"mine")
        cache.missing({"blobs": [digest], "folders": []})
        cache.trim(0, {digest})
        other = Cache(cache.root)
        assert other.trim(0, set()) == 0
        os.close(other.lock)

    def test_a_runner_that_is_arriving_is_left_alone(self, cache):
        part = f"{cache.root}/runner-1.pyz.part.9"
        with open(part, "w") as file:
            file.write("half")
        assert cache.sweep() == 0
        age(part, 1000)
        assert cache.sweep() == 4
