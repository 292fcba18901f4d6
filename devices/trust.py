"""Pinned host keys: a device is spoken to only if it shows the key that the user accepted for it."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Protocol

from hwloop.errors import ConfigError, HostKeyError, Problem
from hwloop.paths import config_dir


class HostKey(Protocol):
    """What is needed of a host key."""

    def get_name(self) -> str:
        """Its type, as `ssh-ed25519`."""

    def asbytes(self) -> bytes:
        """Its public half on the wire."""


def fingerprint(key: HostKey) -> str:
    """Return a key's fingerprint as OpenSSH shows it."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip('=')}"


class PinnedKeys:
    """Host keys by the device's name, in the user's configuration folder; one `name type key` a line.

    `given` are keys that need no file, such as the emulator's own.
    """

    def __init__(self, path: Path | None = None, given: dict[str, str] | None = None) -> None:
        self._path = path or config_dir() / "host_keys"
        self._given = given or {}

    def key_types(self, name: str) -> tuple[str, ...]:
        """Return the type of the pinned key, if there is one."""
        pinned = self._find(name)
        return (pinned.split()[0],) if pinned else ()

    def check(self, device: str, name: str, shown: HostKey) -> None:
        """Accept the key that a server shows if it is the pinned one.

        Raises:
            HostKeyError: no key is pinned for `name`, or another one.
        """
        pinned = self._find(name)
        seen = fingerprint(shown)
        if pinned is None:
            raise HostKeyError(
                device,
                f"the host key of {name} is not known yet; it shows {shown.get_name()} {seen}",
                fingerprint=seen,
                remedy=f"Compare the fingerprint with the device's own, then: hwloop devices trust {name}",
            )
        if pinned.split()[:2] != _line(shown).split():
            raise HostKeyError(
                device,
                f"the host key of {name} has changed: it shows {shown.get_name()} {seen}, which is not the pinned one",
                fingerprint=seen,
                remedy="Someone may listen in. If the device was set up anew: "
                f"hwloop devices trust {name} --replace",
            )

    def pinned(self, name: str) -> str | None:
        """Return the pinned `type key` of a name, or None."""
        return self._find(name)

    def pin(self, name: str, key: HostKey) -> None:
        """Write a key down for `name`, in place of the one that was there."""
        entries = {**self._read(), name: _line(key)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=self._path.parent)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{entry} {line}\n" for entry, line in sorted(entries.items()))
        os.replace(partial, self._path)

    def _find(self, name: str) -> str | None:
        return self._given.get(name) or self._read().get(name)

    def _read(self) -> dict[str, str]:
        if not self._path.is_file():
            return {}
        entries = {}
        for number, line in enumerate(self._path.read_text().splitlines(), 1):
            words = line.split()
            if words and len(words) < 3:
                problem = Problem("", number, line, "this is no `name type key`", "Remove the line.")
                raise ConfigError(str(self._path), [problem])
            if words:
                entries[words[0]] = " ".join(words[1:3])
        return entries


def _line(key: HostKey) -> str:
    return f"{key.get_name()} {base64.b64encode(key.asbytes()).decode()}"
