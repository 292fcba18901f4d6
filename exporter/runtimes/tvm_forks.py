"""Tasks in forks of this process, several at once: one that crashes or hangs is alone in it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait

DETAIL_KEPT = 400
PR_SET_PDEATHSIG = 1


@dataclass
class _Fork:
    number: int
    pid: int
    words: int  # the end of a pipe; it closes when the process has ended
    deadline: float


def in_forks(tasks: Sequence[Callable[[], None]], seconds: float, at_once: int | None = None) -> list[str]:
    """Run every task in a fork, each for `seconds` at most; return what is wrong with each, nothing if it is done."""
    most = at_once or len(os.sched_getaffinity(0))
    wrong = [""] * len(tasks)
    running: list[_Fork] = []
    waiting = list(enumerate(tasks))
    while waiting or running:
        while waiting and len(running) < most:
            number, task = waiting.pop(0)
            running.append(_start(number, task, seconds))
        first = min(fork.deadline for fork in running)
        ended = wait([fork.words for fork in running], timeout=max(0.0, first - time.monotonic()))
        for fork in [one for one in running if one.words in ended or one.deadline <= time.monotonic()]:
            running.remove(fork)
            wrong[fork.number] = _end(fork, seconds, hung=fork.words not in ended)
    return wrong


def die_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends, however that does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(number: int, task: Callable[[], None], seconds: float) -> _Fork:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return _Fork(number, pid, reader, time.monotonic() + seconds)
    status = 1
    try:
        die_with_parent()
        os.setsid()  # the linkers that it starts are killed with it
        task()
        status = 0
    except BaseException as error:  # noqa: BLE001  whatever it is, the parent hears of it, and nobody else
        words = traceback.format_exception_only(error)[-1].strip()
        os.write(writer, words[-DETAIL_KEPT:].encode())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _end(fork: _Fork, seconds: float, *, hung: bool) -> str:
    if hung:
        os.killpg(fork.pid, signal.SIGKILL)
    words = b"" if hung else os.read(fork.words, 4 * DETAIL_KEPT)
    os.close(fork.words)
    status = os.waitstatus_to_exitcode(os.waitpid(fork.pid, 0)[1])
    if hung:
        return f"it did not build within {seconds:g} s"
    if status < 0:
        return f"its compiler ended with signal {-status}"
    return words.decode(errors="replace") if status else ""
