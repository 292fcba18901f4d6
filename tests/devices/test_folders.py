"""A folder's name on the device is its content."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hwloop.devices.folders import Blob, Folder

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
files = st.dictionaries(st.text(min_size=1, max_size=5), digests, max_size=4)


def folder(names, order=1):
    return Folder({name: Blob(Path("anywhere"), digest) for name, digest in list(names.items())[::order]})


@given(files)
def test_the_order_of_files_and_their_place_here_do_not_matter(names):
    assert folder(names).digest == folder(names, -1).digest


@given(files, files)
def test_other_content_is_another_folder(one, other):
    assert (folder(one).digest == folder(other).digest) == (one == other)


def test_an_archive_is_not_a_file_of_the_same_content():
    blob = Blob(Path("a"), "0" * 64)
    assert Folder({"a": blob}).digest != Folder(archives=(blob,)).digest
