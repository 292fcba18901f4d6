"""Pinned host keys: a device is spoken to only if it shows the key that the user accepted for it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from hwloop.errors import ConfigError, HostKeyError, Problem
from hwloop.paths import config_dir

FILE_NAME = "known_hosts"


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
    """Host keys in the user's configuration folder, in OpenSSH's known_hosts format: `name type key` a line.

    A device's key stands under the device's name, a jump host's under `[host]:port`. `given` are keys by name
    (`type key`) that need no file, such as the emulator's own.
    """

    def __init__(self, path: Path | None = None, given: Mapping[str, str] | None = None) -> None:
        self.path = path or config_dir() / FILE_NAME
        self._given = given or {}

    def pinned(self, name: str) -> str | None:
        """Return the pinned `type key` of a name, or None.

        Raises:
            ConfigError: the file cannot be read.
        """
        if name in self._given:
            return " ".join(self._given[name].split()[:2])
        return next((words[1] for words in self._entries() if words[0] == name), None)

    def key_types(self, name: str) -> tuple[str, ...]:
        """Return the type of the pinned key, if there is one."""
        pinned = self.pinned(name)
        return (pinned.split()[0],) if pinned else ()

    def check(self, device: str, name: str, shown: HostKey) -> None:
        """Accept the key that a server shows if it is the pinned one.

        Raises:
            HostKeyError: no key is pinned for `name`, or another one.
        """
        pinned = self.pinned(name)
        seen = fingerprint(shown)
        whose = "its host key" if name == device else f"the host key of the jump host {name}"
        if pinned is None:
            raise HostKeyError(
                device,
                f"{whose} is not known yet: {shown.get_name()} {seen}",
                fingerprint=seen,
                remedy=f"If that is its fingerprint (`ssh-keygen -lf /etc/ssh/ssh_host_{_stem(shown)}_key.pub` there "
                f"tells), pin it: hwloop devices trust {device}",
            )
        if pinned != _line(shown):
            raise HostKeyError(
                device,
                f"{whose} has changed: it shows {shown.get_name()} {seen}, which is not the pinned one",
                fingerprint=seen,
                remedy="Somebody may be listening in. Only if it was set up anew: "
                f"hwloop devices trust {device} --replace",
            )

    def pin(self, name: str, key: HostKey) -> None:
        """Write a key down for `name`, in place of the one that was there; all other lines stay.

        Raises:
            ConfigError: the file cannot be read or written.
        """
        lines = [line for line in self._lines() if line.split()[:1] != [name]]
        lines.append(f"{name} {_line(key)}")
        with self._translated():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=self.path.parent, prefix=FILE_NAME)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            Path(partial).replace(self.path)

    def _entries(self) -> Iterator[tuple[str, str]]:
        for number, line in enumerate(self._lines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if len(words) < 3:
                problem = Problem("", number, line[:80], "this is no `name type key`", "Remove the line.")
                raise ConfigError(str(self.path), [problem])
            yield words[0], " ".join(words[1:3])

    def _lines(self) -> list[str]:
        with self._translated():
            return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeDecodeError) as error:
            problem = Problem("", 0, "", str(error), "Check its permissions and that it is a text file.")
            raise ConfigError(str(self.path), [problem]) from error


def _line(key: HostKey) -> str:
    return f"{key.get_name()} {base64.b64encode(key.asbytes()).decode()}"


def _stem(key: HostKey) -> str:
    """Return how OpenSSH names the file of a key: ed25519, rsa, ecdsa."""
    return key.get_name().split("-")[1] if key.get_name().startswith("ssh-") else "ecdsa"
