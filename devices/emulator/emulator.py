"""Boards up and down: each is an OpenSSH server on loopback, in namespaces and an arm64 root of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from hwloop.deadline import Deadline
from hwloop.devices.emulator.board_files import BoardFolder
from hwloop.devices.emulator.boards import BOARDS, Board, board_named
from hwloop.devices.emulator.counting import counted_prefix
from hwloop.devices.emulator.host import Say, find_program, prepare, root_prefix, run_as_root
from hwloop.devices.emulator.locks import locked
from hwloop.devices.emulator.rootfs import emulator_dir, ensure_rootfs
from hwloop.errors import EmulatorError

ADDRESS = "127.0.0.1"
NAMESPACE_SCRIPT = Path(__file__).with_name("namespace.sh")
LAUNCH_S = 10.0
ANSWER_S = 30.0
DOWN_S = 10.0
POLL_S = 0.02


@dataclass(frozen=True)
class Endpoint:
    """Where a board answers.

    `host_key` is the OpenSSH line of its public key. `counted_prefix` is what precedes a command (a program's
    absolute path first) that shall run on the board with its instructions counted.
    """

    host: str
    port: int
    user: str
    key_file: Path
    host_key: str
    counted_prefix: tuple[str, ...]


@dataclass(frozen=True)
class BoardStatus:
    """A board and whether it runs: its process on the host, its host and port."""

    name: str
    model: str
    running: bool
    pid: int | None
    address: str | None


def up(name: str, deadline: Deadline, say: Say) -> Endpoint:
    """Start a board and return where it answers; a board that runs is left as it is.

    Raises:
        EmulatorError: this host cannot emulate it; the message names what is missing.
        UsageError: there is no such board.
    """
    board = board_named(name)
    folder = _folder(board)
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.path / "lock", deadline):
        prepare(say, deadline)
        root = ensure_rootfs(say, deadline)
        if not folder.written:  # the cache was emptied while the board ran
            _stop(board)
        if running_pid(board) is None:
            folder.write(ADDRESS, _free_port(board.port), deadline)
            _launch(root, folder)
        _wait_for_answer(board, deadline.at_most(ANSWER_S))
    return Endpoint(ADDRESS, folder.port, "root", folder.client_key, folder.host_key, counted_prefix(board))


def down(name: str | None = None) -> list[str]:
    """Stop one board, or all; return the names of those that ran. Their mounts and processes end with them.

    Raises:
        EmulatorError: a board does not end.
        UsageError: there is no such board.
    """
    return [board.name for board in ([board_named(name)] if name else BOARDS.values()) if _stop(board)]


def status() -> list[BoardStatus]:
    """Return every board and whether it runs."""
    found = []
    for board in BOARDS.values():
        pid = running_pid(board)
        address = None if pid is None else f"{ADDRESS}:{_folder(board).port}"
        found.append(BoardStatus(board.name, board.model, pid is not None, pid, address))
    return found


def running_pid(board: Board) -> int | None:
    """Return the process that holds a board's namespaces, or None.

    It is found by its command, which ends in the board's folder: no record of it could be out of date.
    """
    folder = os.fsencode(_folder(board).path)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended in the meantime
        # `setsid` becomes `unshare` a moment after its start.
        if words[-2:] == [folder, b""] and words[0].rpartition(b"/")[2] in (b"setsid", b"unshare"):
            return int(process.name)
    return None


def _launch(root: Path, folder: BoardFolder) -> None:
    # setsid --fork: not a child of this process, which may end long before the board.
    command = [find_program("setsid") or "setsid", "--fork", find_program("unshare") or "unshare"]
    command += ["--mount", "--pid", "--uts", "--fork", "--kill-child"]
    command += ["sh", str(NAMESPACE_SCRIPT), str(root), str(folder.path)]
    with folder.log.open("wb") as log:
        subprocess.run(
            [*root_prefix(), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            timeout=LAUNCH_S,
            check=False,
        )


def _wait_for_answer(board: Board, deadline: Deadline) -> None:
    folder = _folder(board)
    while not _answers(folder.port):
        if running_pid(board) is None:
            words = folder.log.read_text(errors="replace").strip().splitlines() or ["no reason given"]
            raise EmulatorError(
                f"{board.name} did not start: {words[-1]}",
                remedy=f"All that it said is in {folder.log}; in a container, mounts need --privileged.",
            )
        if deadline.expired:
            raise EmulatorError(
                f"{board.name} does not answer on {ADDRESS}:{folder.port}; its log is {folder.log}",
                remedy=f"Run `hwloop emulator down {board.name}` and try again.",
            )
        time.sleep(POLL_S)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((ADDRESS, port), timeout=1) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _free_port(preferred: int) -> int:
    """Return the preferred port, or another where a program has it already."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EmulatorError(f"there is no free port on {ADDRESS}")


def _stop(board: Board) -> bool:
    """End a board; return whether it ran."""
    ran = False
    end = Deadline.after(DOWN_S)
    while (pid := running_pid(board)) is not None:
        if end.expired:
            raise EmulatorError(f"{board.name} does not end: process {pid} is still there")
        if not ran:
            run_as_root(["sh", "-c", 'kill -KILL "$1" || true', "sh", str(pid)], end)
        ran = True
        time.sleep(POLL_S)
    return ran


def _folder(board: Board) -> BoardFolder:
    return BoardFolder(emulator_dir() / "boards" / board.name, board)
