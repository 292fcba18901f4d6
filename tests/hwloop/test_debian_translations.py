"""Translations of package descriptions, with real apt."""

import pytest

from hwloop.deadline import Deadline
from hwloop.debian_translations import from_translations
from hwloop.errors import FetchError
from hwloop.packages import PackageFiles


def wanted(release, language):
    return PackageFiles(f"{release} main", {f"Translation-{language}": "0" * 64}, 1, "the packages' own")


def test_a_file_of_another_digest_is_refused(tmp_path):
    with pytest.raises(FetchError, match="bookworm main holds another Translation-eo than expected"):
        from_translations(wanted("bookworm", "eo"), tmp_path, Deadline.after(60))


def test_a_release_that_is_not_there_is_told_with_a_remedy(tmp_path):
    with pytest.raises(FetchError, match="could not fetch no-such-release main") as told:
        from_translations(wanted("no-such-release", "eo"), tmp_path, Deadline.after(60))
    assert "apt-get update" in told.value.remedy
