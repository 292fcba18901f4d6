"""Descriptions of Debian's packages and their translations, which apt fetches from the machine's own mirror.

apt keeps its lists in a folder of this download's own: nothing of the system changes, and nobody has to be root.
"""

from __future__ import annotations

from pathlib import Path

from hwloop.apt_sources import mirror
from hwloop.deadline import Deadline
from hwloop.debian_packages import run_tool
from hwloop.packages import PackageFiles, check_files

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PREFIX = "Translation-"


def from_translations(wanted: PackageFiles, folder: Path, deadline: Deadline) -> dict[str, bytes]:
    """Return files `Translation-LANGUAGE` of a release, whose name and component `requirement` are: "bookworm main".

    Raises:
        FetchError: they could not be fetched, or hold something else.
    """
    languages = ",".join(name.removeprefix(PREFIX) for name in wanted.digests)
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True)
    sources = folder / "sources.list"
    options = f"signed-by={KEYRING} lang={languages} target=Translations"
    sources.write_text(f"deb [{options}] {mirror()} {wanted.requirement}\n")
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": lists,
        "Dir::Cache": folder,
        "Acquire::GzipIndexes": "false",
        "APT::Sandbox::User": "root",  # who runs hwloop may write to its cache, apt's own user may not
        "APT::Update::Error-Mode": "any",
    }
    given = [word for name, value in settings.items() for word in ("--option", f"{name}={value}")]
    run_tool(f"{wanted.requirement} translations", ["apt-get", "--quiet", *given, "update"], folder, deadline)
    found = {f"{PREFIX}{path.name.rpartition(PREFIX)[2]}": path.read_bytes() for path in lists.glob(f"*_{PREFIX}*")}
    check_files(wanted.requirement, found, wanted.digests)
    return found
