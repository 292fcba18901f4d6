"""From devices.yaml and ~/.ssh/config to the SSH servers on the way to a device."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko

from hwloop.devices.fleet import JUMP, SshDevice
from hwloop.errors import UsageError

SSH_PORT = 22
MOST_HOPS = 8
MOST_INCLUDES = 16
USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True)
class Hop:
    """One SSH server on the way: `name` is what its host key is pinned under.

    `identities_only` leaves out the agent's keys that are not among `key_files`.
    """

    name: str
    host: str
    port: int
    user: str
    key_files: tuple[Path, ...] = ()
    use_agent: bool = True
    identities_only: bool = False

    @property
    def address(self) -> str:
        """How messages name it."""
        return f"{self.user}@{self.host}:{self.port}"


def hops_to(device: str, settings: SshDevice, config_file: Path | None = None) -> list[Hop]:
    """Return the servers on the way to a device, the device last.

    What devices.yaml says goes before what `config_file` (~/.ssh/config) says.

    Raises:
        UsageError: the file cannot be parsed or wants what hwloop cannot do, or jump hosts lead in a circle.
    """
    config = read_ssh_config(config_file or Path.home() / ".ssh" / "config")
    key_files = (Path(settings.key_file).expanduser(),) if settings.key_file else ()
    target = _Wanted(settings.host, settings.user, settings.port, key_files)
    hop, found_jump = _resolve(target, config, device)
    return [*_jumps(settings.jump or found_jump, config, 0), hop]


@dataclass(frozen=True)
class _Wanted:
    host: str
    user: str | None = None
    port: int | None = None
    key_files: tuple[Path, ...] = ()


def _jumps(chain: str, config: paramiko.SSHConfig, depth: int) -> list[Hop]:
    """Return the hops of `user@host:port,…`; the first of them may have jump hosts of its own."""
    if not chain or chain.lower() == "none":
        return []
    if depth >= MOST_HOPS:
        raise UsageError(f"the jump hosts lead in a circle: {chain}", remedy="Check ProxyJump in ~/.ssh/config.")
    hops: list[Hop] = []
    for text in chain.split(","):
        found = JUMP.fullmatch(text.strip().removeprefix("ssh://"))
        if not found:
            shown = re.sub(":.*@", ":...@", text.strip(), flags=re.DOTALL)  # there may be a password in it
            raise UsageError(f"the jump host {shown!r} is no [user@]host[:port]", remedy="Check ProxyJump.")
        port = int(found["port"]) if found["port"] else None
        hop, own_jump = _resolve(_Wanted(found["host"].strip("[]"), found["user"], port), config)
        if not hops:
            hops += _jumps(own_jump, config, depth + 1)
        hops.append(hop)
    return hops


def _resolve(wanted: _Wanted, config: paramiko.SSHConfig, name: str = "") -> tuple[Hop, str]:
    """Return a hop and the jump hosts that the configuration file wants before it."""
    try:
        found = config.lookup(wanted.host)
        port = wanted.port or int(found.get("port", SSH_PORT))
    except (paramiko.SSHException, ValueError, ImportError, KeyError) as error:
        raise UsageError(f"~/.ssh/config, for {wanted.host}: {error}", remedy=SIMPLER) from error
    jump = found.get("proxyjump", "")
    if found.get("proxycommand") and not jump:
        raise UsageError(
            f"~/.ssh/config wants a ProxyCommand for {wanted.host}, which hwloop does not run",
            remedy="Use ProxyJump there, or `jump` in devices.yaml.",
        )
    host = found["hostname"]
    given = wanted.key_files or tuple(Path(path).expanduser() for path in found.get("identityfile", ()))
    hop = Hop(
        name=name or pinned_name(host, port),
        host=host,
        port=port,
        user=wanted.user or found.get("user") or getpass.getuser(),
        key_files=given or _usual_keys(),
        identities_only=found.get("identitiesonly", "no").lower() == "yes",
        use_agent=found.get("identityagent", "").lower() != "none",
    )
    return hop, jump


SIMPLER = "Give `host`, `user`, `port`, `key_file` and `jump` in devices.yaml, and a host that the file does not name."


def pinned_name(host: str, port: int) -> str:
    """Return what a jump host's key is pinned under; no device has such a name."""
    return f"[{host}]:{port}"


def _usual_keys() -> tuple[Path, ...]:
    folder = Path.home() / ".ssh"
    return tuple(folder / name for name in USUAL_KEYS if (folder / name).is_file())


def read_ssh_config(path: Path) -> paramiko.SSHConfig:
    """Return a parsed configuration file with its Include lines followed; a missing file is an empty one.

    Raises:
        UsageError: it cannot be read or parsed.
    """
    try:
        lines = list(_lines(path, 0)) if path.is_file() else []
        return paramiko.SSHConfig.from_text("\n".join(lines))
    except (paramiko.SSHException, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", remedy="`ssh -G HOST` shows how OpenSSH reads it.") from error


def _lines(path: Path, depth: int) -> Iterator[str]:
    """Yield a file's lines, those of included files in place of their Include line."""
    if depth > MOST_INCLUDES:
        raise UsageError(f"{path}: Include lines lead in a circle", remedy="Remove one of them.")
    block = "Host *"
    for line in path.read_text().splitlines():
        words = line.replace("=", " ", 1).split()
        keyword = words[0].lower() if words else ""
        if keyword in ("host", "match"):
            block = line
        if keyword != "include":
            yield line
            continue
        for included in _included(words[1:]):
            yield from _lines(included, depth + 1)
            yield block


def _included(patterns: Sequence[str]) -> Iterator[Path]:
    """Yield the files that an Include line names; relative ones are in ~/.ssh."""
    for pattern in patterns:
        whole = Path.home() / ".ssh" / Path(pattern.strip('"')).expanduser()
        anchor = Path(whole.anchor)
        yield from sorted(path for path in anchor.glob(str(whole.relative_to(anchor))) if path.is_file())
