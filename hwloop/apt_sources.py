"""Which Debian mirror this machine's apt uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FALLBACK_MIRROR = "http://deb.debian.org/debian"
DEBIAN_KEYRING = "debian-archive-keyring"
# An option list in brackets, the URI, the suite, the components.
ONE_LINE = re.compile(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)\s*(?:#.*)?$")


@dataclass(frozen=True)
class AptSource:
    """One archive that apt reads: its address, its components, and the keyring named for it ("": none)."""

    uri: str
    components: tuple[str, ...]
    signed_by: str

    @property
    def is_debian(self) -> bool:
        """Whether this is Debian's main archive: others too end in /debian, but bring a key of their own."""
        own_key = self.signed_by != "" and DEBIAN_KEYRING not in self.signed_by
        path = self.uri.rstrip("/").rpartition("/")[2]
        return path == "debian" and "main" in self.components and not own_key and self.uri.startswith("http")


def mirror(folder: Path = Path("/etc/apt")) -> str:
    """Return the Debian mirror that apt uses, or Debian's own where apt names none."""
    for source in sources(folder):
        if source.is_debian:
            return source.uri.rstrip("/")
    return FALLBACK_MIRROR


def sources(folder: Path) -> Iterator[AptSource]:
    """Yield what sources.list and sources.list.d name, in both of apt's formats."""
    more = folder / "sources.list.d"
    for path in [folder / "sources.list", *sorted(more.glob("*.list"))]:
        if path.is_file():
            yield from _one_line_sources(path.read_text(errors="replace"))
    for path in sorted(more.glob("*.sources")):
        yield from _deb822_sources(path.read_text(errors="replace"))


def _one_line_sources(text: str) -> Iterator[AptSource]:
    for line in text.splitlines():
        found = ONE_LINE.match(line.strip())
        if found:
            options, uri, _, components = found.groups()
            keys = re.findall(r"signed-by=(\S+)", options or "", flags=re.IGNORECASE)
            yield AptSource(uri, tuple(components.split()), " ".join(keys))


def _deb822_sources(text: str) -> Iterator[AptSource]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        unfolded = re.sub(r"\n[ \t]+", " ", stanza)
        fields = {
            key.strip().lower(): value.strip()
            for key, colon, value in (line.partition(":") for line in unfolded.splitlines())
            if colon
        }
        disabled = fields.get("enabled", "yes").lower() in ("no", "false")
        if disabled or "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            yield AptSource(uri, tuple(fields.get("components", "").split()), fields.get("signed-by", ""))
