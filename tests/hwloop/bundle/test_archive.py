"""Archives: equal bytes for equal files, and nothing that an archive says leads outside its folder."""

import io
import os
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.bundle import archive
from hwloop.bundle.archive import names_below, unpack, write_bundle
from hwloop.errors import UsageError

NAMES = ["b.zip", "b.tar", "b.tar.gz", "b.tgz", "b"]
CONTENT = {"verify.py": b"print()\n", "model/model.so": bytes(range(256)) * 99, "deep/er/empty": b""}


def fill(folder, content=CONTENT):
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def content_of(folder):
    return {name: (folder / name).read_bytes() for name in names_below(folder)}


def content_of_output(path, folder):
    if path.is_dir():
        return content_of(path)
    folder.mkdir()
    unpack(path, folder)
    return content_of(folder)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_packed_comes_back(tmp_path, name):
    write_bundle(fill(tmp_path / "source"), tmp_path / "out" / name)
    assert content_of_output(tmp_path / "out" / name, tmp_path / "back") == CONTENT
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES[:-1])
def test_times_modes_and_the_order_of_writing_leave_no_trace(tmp_path, name):
    write_bundle(fill(tmp_path / "one"), tmp_path / f"one-{name}")
    other = fill(tmp_path / "other", dict(reversed(CONTENT.items())))
    for path in other.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700)
    write_bundle(other, tmp_path / f"other-{name}")
    assert (tmp_path / f"one-{name}").read_bytes() == (tmp_path / f"other-{name}").read_bytes()


def test_programs_can_be_started_and_other_files_cannot(tmp_path):
    write_bundle(fill(tmp_path / "source"), tmp_path / "folder")
    write_bundle(tmp_path / "source", tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        zipped = {one.filename: stat.S_IMODE(one.external_attr >> 16) for one in packed.infolist()}
    there = {name: stat.S_IMODE((tmp_path / "folder" / name).stat().st_mode) for name in CONTENT}
    assert zipped == there == {"verify.py": 0o755, "model/model.so": 0o644, "deep/er/empty": 0o644}


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(st.text("abcäö /", min_size=1), st.binary(max_size=64), min_size=1, max_size=5),
    st.sampled_from(NAMES),
)
def test_any_content_comes_back(tmp_path_factory, content, name):
    folder = tmp_path_factory.mktemp("any")
    files = {f"f{number}-{one.replace('/', '_')}": data for number, (one, data) in enumerate(content.items())}
    write_bundle(fill(folder / "source", files), folder / name)
    assert content_of_output(folder / name, folder / "back") == files


# ── what is refused ──


def zip_of(path, name, data=b"x", mode=stat.S_IFREG | 0o644):
    with zipfile.ZipFile(path, "w") as packed:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        packed.writestr(entry, data)
    return path


def tar_of(path, name, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w") as packed:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
        packed.addfile(entry, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "model/../../evil", "a//b", "./a", "..\\evil"])
@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_name_that_leads_outside_is_refused(tmp_path, make, name):
    (tmp_path / "inner").mkdir()
    with pytest.raises(UsageError, match="leads outside the bundle"):
        unpack(make(tmp_path / "b", name), tmp_path / "inner")
    assert {path.name for path in tmp_path.iterdir()} == {"b", "inner"}
    assert not list((tmp_path / "inner").iterdir())


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_compiled_code_that_would_run_in_place_of_the_code_is_refused(tmp_path, make):
    with pytest.raises(UsageError, match="compiled code"):
        unpack(make(tmp_path / "evil", "driver/__pycache__/model.cpython-311.pyc"), tmp_path)


def test_a_link_in_a_zip_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is a link or a device"):
        unpack(zip_of(tmp_path / "b", "verify.py", b"/etc/passwd", stat.S_IFLNK | 0o777), tmp_path / "to")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, kind):
    with pytest.raises(UsageError, match="is a link or a device"):
        unpack(tar_of(tmp_path / "b", "verify.py", kind, "/etc/passwd"), tmp_path / "to")


@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_a_truncated_archive_is_refused_or_lacks_files(tmp_path, name, share):
    """A tar may end between two files, and the manifest tells what is missing then."""
    path = tmp_path / name
    write_bundle(fill(tmp_path / "source"), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    (tmp_path / "to").mkdir()
    try:
        unpack(path, tmp_path / "to")
    except UsageError as error:
        assert str(path) in str(error)
        assert "damaged or truncated" in str(error) or "no bundle" in str(error)
    else:
        assert content_of(tmp_path / "to") != CONTENT


@pytest.mark.parametrize("name", ["b.zip", "b.tar.gz"])
def test_a_changed_byte_is_told(tmp_path, name):
    path = tmp_path / name
    write_bundle(fill(tmp_path / "source", {"noise": os.urandom(5000)}), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match="damaged"):
        unpack(path, tmp_path / "to")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        packed.writestr("verify.py", "one")
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("verify.py", "another")
    with pytest.raises(UsageError, match="twice"):
        unpack(tmp_path / "b.zip", tmp_path / "to")


def test_what_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    for name in NAMES[:-1]:
        write_bundle(fill(tmp_path / "source", {"zeros": bytes(1001)}), tmp_path / name)
        with pytest.raises(UsageError, match="more than is allowed"):
            unpack(tmp_path / name, tmp_path / "to")
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    for name in NAMES[:-1]:
        write_bundle(fill(tmp_path / "many", {str(number): b"" for number in range(9)}), tmp_path / name)
        with pytest.raises(UsageError, match="more than is allowed"):
            unpack(tmp_path / name, tmp_path / "to")


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        write_bundle(fill(tmp_path / "source"), tmp_path / "file" / "b.zip")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "source"}
