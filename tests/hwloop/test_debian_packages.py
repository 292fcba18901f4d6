"""Files out of Debian packages, with real apt."""

import pytest

from hwloop.deadline import Deadline
from hwloop.debian_packages import from_debian
from hwloop.errors import FetchError
from hwloop.packages import PackageFiles

NOWHERE = PackageFiles("hwloop-has-no-such-package", {}, 1, "MIT")


def test_a_package_that_is_not_there_is_told_with_a_remedy(tmp_path):
    with pytest.raises(FetchError, match="could not fetch hwloop-has-no-such-package") as told:
        from_debian(NOWHERE, tmp_path, Deadline.after(60))
    assert "apt-get update" in told.value.remedy


def test_a_system_without_apt_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="comes from Debian, and there is no apt-get here"):
        from_debian(NOWHERE, tmp_path, Deadline.after(60))
