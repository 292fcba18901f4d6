"""Folders into archives that are equal byte for byte where the files are, and archives back into folders, safely."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

from hwloop.errors import UsageError

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that zip knows
LONG_AGO_S = 315532800
FILE_MODE, PROGRAM_MODE = 0o644, 0o755
PROGRAMS = ("verify.py", "sample.py")
COMPRESSION = 6
MOST_MEMBERS, MOST_BYTES = 50_000, 8 << 30
ZIP, TARS, GZIPPED = ".zip", (".tar", ".tar.gz", ".tgz"), (".gz", ".tgz")
AGAIN = "Copy or export it again."


def is_archive(name: str) -> bool:
    """Whether a file of this name is written as an archive; anything else is a folder."""
    return name.endswith((ZIP, *TARS))


def write_bundle(folder: Path, output: Path, compression: int = COMPRESSION) -> None:
    """Write a folder's files to `output`: a .zip, a .tar (.gz), or a new folder; at once or not at all.

    Order, times, owners and modes are always the same. `compression` is zlib's level.

    Raises:
        UsageError: `output` cannot be written, or is a folder with something in it.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if not is_archive(output.name):
            _write_folder(folder, output)
            return
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            try:
                if output.name.endswith(ZIP):
                    _write_zip(folder, file, compression)
                elif output.name.endswith(GZIPPED):
                    with gzip.GzipFile("", "wb", compression, file, mtime=LONG_AGO_S) as packed:
                        _write_tar(folder, packed)
                else:
                    _write_tar(folder, file)
                file.flush()
                Path(file.name).chmod(FILE_MODE)
                Path(file.name).replace(output)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror}", remedy="Name another place.") from error


def names_below(folder: Path) -> list[str]:
    """Return the names of all files below a folder, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a bundle's archive into an empty folder.

    Raises:
        UsageError: it is none, damaged, or holds links, names that lead outside or more than is allowed.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, folder)
        else:
            raise UsageError(
                f"{archive}: this is no bundle: neither a .zip nor a .tar, or a truncated one", remedy=AGAIN
            )
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, RuntimeError) as error:
        raise UsageError(f"{archive}: the archive is damaged or truncated: {error}", remedy=AGAIN) from error
    except OSError as error:
        raise UsageError(f"{archive}: cannot be unpacked: {error.strerror or error}") from error


def _mode(name: str) -> int:
    return PROGRAM_MODE if name in PROGRAMS else FILE_MODE


def _write_folder(folder: Path, output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output}: there is something already", remedy="Remove it, or name another place.")
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as arriving:
        made = Path(arriving) / "bundle"
        for name in names_below(folder):
            target = made / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
            target.chmod(_mode(name))
            os.utime(target, (LONG_AGO_S, LONG_AGO_S))
        made.replace(output)


def _write_zip(folder: Path, file: IO[bytes], compression: int) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name in names_below(folder):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = (stat.S_IFREG | _mode(name)) << 16
            entry.create_system = 3  # Unix, on whatever system this runs
            content = (folder / name).read_bytes()
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compression)


def _write_tar(folder: Path, file: IO[bytes] | gzip.GzipFile) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in names_below(folder):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = (folder / name).stat().st_size, _mode(name), LONG_AGO_S
            with (folder / name).open("rb") as content:
                archive.addfile(entry, content)


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = [one for one in opened.infolist() if not one.is_dir()]
        _refuse_excess(archive, len(members), sum(one.file_size for one in members))
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            target = _place(archive, folder, member.filename, regular=kind in (0, stat.S_IFREG))
            with opened.open(member) as source:
                _copy(source, target, member.file_size)


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        members = [one for one in _members(opened) if not one.isdir()]
        _refuse_excess(archive, len(members), sum(one.size for one in members))
        for member in members:
            target = _place(archive, folder, member.name, regular=member.isreg() and not member.issparse())
            source = opened.extractfile(member)
            if source is not None:
                with closing(source):
                    _copy(source, target, member.size)
        while opened.fileobj and opened.fileobj.read(1 << 20):
            pass  # to the end, where gzip's checksum stands


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar, no more than one beyond what is allowed."""
    for count, member in enumerate(opened):
        yield member
        if count > MOST_MEMBERS:
            return


def _refuse_excess(archive: Path, members: int, size_bytes: int) -> None:
    if members > MOST_MEMBERS or size_bytes > MOST_BYTES:
        raise UsageError(f"{archive}: it would unpack to more than is allowed ({size_bytes} bytes, {members} files)")


def _place(archive: Path, folder: Path, name: str, *, regular: bool) -> Path:
    """Return where a member goes; refuse what is no plain file of the bundle."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"{archive}: refused: the name {name!r} leads outside the bundle", remedy="Do not trust it.")
    if not regular:
        raise UsageError(f"{archive}: refused: {name!r} is a link or a device", remedy="Do not trust it.")
    if "__pycache__" in parts:  # Python would run it in place of the code that was signed
        raise UsageError(f"{archive}: refused: no bundle holds {name!r}, compiled code", remedy="Do not trust it.")
    target = folder.joinpath(*parts)
    if target.exists():
        raise UsageError(f"{archive}: refused: it holds {name!r} twice", remedy="Do not trust it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _copy(source: IO[bytes], target: Path, size_bytes: int) -> None:
    """Write a member's content: no more than the size that the archive states."""
    with target.open("wb") as file:
        left = size_bytes
        while block := source.read(min(left, 1 << 20)) if left else b"":
            file.write(block)
            left -= len(block)
    if left:
        raise EOFError("a file ends early")
