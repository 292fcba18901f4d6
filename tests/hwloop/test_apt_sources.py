from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.apt_sources import FALLBACK_MIRROR, _deb822_sources, _one_line_sources, mirror

DEB822 = """\
Types: deb
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://mirror.example/debian/
Suites: bookworm
  bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_the_mirror_is_read_from_the_deb822_format_without_its_comments(apt: Path):
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert mirror(apt) == "http://mirror.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "deb http://mirror.example/debian bookworm main",
        "deb [arch=amd64] http://mirror.example/debian/ sid main contrib # a comment",
        "deb [signed-by=/srv/debian-archive-keyring.gpg] http://mirror.example/debian sid main",
    ],
)
def test_the_mirror_is_read_from_the_one_line_format(apt: Path, line: str):
    (apt / "sources.list").write_text(f"# deb http://old.example/debian bookworm main\n{line}\n")
    assert mirror(apt) == "http://mirror.example/debian"


@pytest.mark.parametrize(
    "line",
    [
        "deb-src http://other.example/debian bookworm main",
        "deb [signed-by=/etc/apt/keyrings/other.asc] https://other.example/linux/debian bookworm main",
        "deb https://other.example/linux/debian bookworm stable",
        "deb http://other.example/debian-security bookworm-security main",
        "deb file:/srv/debian bookworm main",
    ],
)
def test_other_archives_are_not_taken_for_debian(apt: Path, line: str):
    (apt / "sources.list").write_text(f"{line}\n")
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert mirror(apt) == "http://mirror.example/debian"


@pytest.mark.parametrize("change", [("Types: deb", "Types: deb-src"), ("Types: deb", "Types: deb\nEnabled: no")])
def test_a_disabled_or_source_only_archive_does_not_count(apt: Path, change: tuple[str, str]):
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822.replace(*change))
    assert mirror(apt) == FALLBACK_MIRROR


def test_without_any_source_it_is_debians_own_mirror(tmp_path: Path):
    assert mirror(tmp_path) == FALLBACK_MIRROR


@given(st.text())
def test_no_text_is_too_odd_to_be_read(text: str):
    for source in [*_one_line_sources(text), *_deb822_sources(text)]:
        assert source.uri


@given(st.text(alphabet="abcdefgh-./:", min_size=1, max_size=20).filter(str.strip))
def test_a_comment_names_no_mirror(text: str):
    assert not list(_one_line_sources(f"# deb http://{text}/debian bookworm main"))
    assert not list(_deb822_sources(f"Types: deb\n#URIs: http://{text}/debian\nComponents: main"))
