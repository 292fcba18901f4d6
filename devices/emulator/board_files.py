"""A board's own folder on the host: its keys, its home, and the files that hide the host's."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices.emulator.boards import Board
from hwloop.devices.emulator.host import find_program
from hwloop.errors import EmulatorError

SSHD_CONFIG = """\
ListenAddress {address}
Port {port}
HostKey /run/hwloop/host_key
PidFile none
AuthorizedKeysFile /run/hwloop/authorized_keys
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
MaxSessions 64
SetEnv QEMU_CPU={cpu}
"""


@dataclass(frozen=True)
class BoardFolder:
    """What stays of a board while it is down; `overlay/`, `home/` and `ssh/` are what namespace.sh mounts."""

    path: Path
    board: Board

    @property
    def log(self) -> Path:
        """What the board's first process and its sshd said."""
        return self.path / "log"

    @property
    def client_key(self) -> Path:
        """The private key that may log in."""
        return self.path / "client_key"

    @property
    def host_key(self) -> str:
        """The board's public host key, as OpenSSH writes it."""
        return (self.path / "ssh" / "host_key.pub").read_text().strip()

    @property
    def written(self) -> bool:
        """Whether what a start needs stands here; it is gone when the user emptied the cache."""
        return (self.path / "port").exists()

    @property
    def port(self) -> int:
        """The port that the board was last started on."""
        return int((self.path / "port").read_text())

    def write(self, address: str, port: int, deadline: Deadline) -> None:
        """Write what a start needs: the board's files anew, its keys and its home once.

        Raises:
            EmulatorError: the keys cannot be made.
        """
        overlay, ssh = self.path / "overlay", self.path / "ssh"
        shutil.rmtree(overlay, ignore_errors=True)
        for name, content in self.board.files().items():
            path = overlay / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for folder in (ssh, self.path / "home"):
            folder.mkdir(mode=0o700, exist_ok=True)
        for key in (ssh / "host_key", self.client_key):
            self._make_key(key, deadline)
        shutil.copyfile(self.client_key.with_suffix(".pub"), ssh / "authorized_keys")
        config = SSHD_CONFIG.format(address=address, port=port, cpu=self.board.qemu_cpu)
        (ssh / "sshd_config").write_text(config)
        (self.path / "port").write_text(f"{port}\n")

    def _make_key(self, path: Path, deadline: Deadline) -> None:
        if path.with_suffix(".pub").exists():
            return
        path.unlink(missing_ok=True)
        command = [find_program("ssh-keygen") or "ssh-keygen", "-q", "-t", "ed25519", "-N", ""]
        command += ["-C", f"hwloop-{self.board.name}", "-f", str(path)]
        try:
            subprocess.run(command, check=True, timeout=deadline.remaining_s, capture_output=True)
        except (subprocess.SubprocessError, OSError) as error:
            raise EmulatorError(f"ssh-keygen cannot make {path}: {error}") from error
