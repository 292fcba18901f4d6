"""A real OpenSSH server on a free port of loopback, with keys of its own, for tests."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hwloop.deadline import Deadline

ADDRESS = "127.0.0.1"
START_S = 20.0
# The first value of a key counts.
CONFIG = """\
{options}
ListenAddress {address}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 200
MaxSessions 64
LogLevel VERBOSE
SetEnv HOME={folder}/home
"""


@dataclass
class Sshd:
    """A running server. `host_key` is its public key as `type base64`; `key_file` logs `user` in.

    Commands have a home folder of their own, `folder`/home.
    """

    host: str
    port: int
    user: str
    key_file: Path
    host_key: str
    folder: Path
    server: subprocess.Popen[bytes]
    command: Sequence[str]

    @property
    def pid(self) -> int:
        """The process that listens."""
        return self.server.pid

    def log(self) -> str:
        """Return what the server logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    def cut(self) -> None:
        """End every connection, and what runs on it, at once; the server itself goes on."""
        for child in descendants(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def hang_up(self) -> None:
        """End every connection, as a network does: what runs on it is left to itself."""
        for child in descendants(self.pid):
            with contextlib.suppress(OSError):
                if (Path("/proc") / str(child) / "comm").read_text().startswith("sshd"):
                    os.kill(child, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and all that runs on its connections, as a device that loses its power."""
        _end(self.server)

    def start(self) -> None:
        """Run a stopped server again, with the same keys and on the same port.

        Raises:
            RuntimeError: it does not start.
        """
        (self.folder / "log").unlink(missing_ok=True)
        self.server = _run(self.command, self.folder)

    def change_host_key(self) -> None:
        """Give the server another key, which it shows from its next start."""
        for path in (self.folder / "host_key", self.folder / "host_key.pub"):
            path.unlink()
        make_key(self.folder / "host_key")


@contextmanager
def running_sshd(
    options: Sequence[str] = (), key_type: str = "ed25519", address: str = ADDRESS, prefix: Sequence[str] = ()
) -> Iterator[Sshd]:
    """Run a server for this user with further lines of sshd_config; it ends with the block.

    `prefix` precedes its command, as in `nsenter`.

    Raises:
        RuntimeError: there is no sshd, or it does not start.
    """
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("there is no sshd: install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hwloop-sshd-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        make_key(folder / "host_key", key_type)
        make_key(folder / "user_key")
        shutil.copyfile(folder / "user_key.pub", folder / "authorized_keys")
        host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
        config = folder / "sshd_config"
        command = [*prefix, program, "-D", "-f", str(config), "-E", str(folder / "log")]
        for tries_left in (2, 1, 0):
            port = free_port()  # of this machine's loopback, which is as good a number elsewhere
            config.write_text(CONFIG.format(address=address, port=port, folder=folder, options="\n".join(options)))
            try:
                server = _run(command, folder)
                break
            except RuntimeError:  # somebody else took the port
                if not tries_left:
                    raise
        sshd = Sshd(address, port, getpass.getuser(), folder / "user_key", host_key, folder, server, command)
        try:
            yield sshd
        finally:
            _end(sshd.server)


def make_key(path: Path, key_type: str = "ed25519", passphrase: str = "") -> Path:
    """Write a new key pair to `path` and `path`.pub."""
    command = ["ssh-keygen", "-q", "-t", key_type, "-N", passphrase, "-C", "hwloop-test", "-f", str(path)]
    subprocess.run(command, check=True, timeout=START_S, capture_output=True)
    return path


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found[1:]


def _run(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = Deadline.after(START_S)
    while server.poll() is None and not deadline.expired:
        if "Server listening" in _text(folder / "log"):
            return server
        time.sleep(0.01)
    _end(server)
    raise RuntimeError(f"sshd does not start: {_text(folder / 'log')}")


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _end(server: subprocess.Popen[bytes]) -> None:
    for pid in [server.pid, *descendants(server.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.wait(START_S)
