"""A process that has imported a runtime and forks a fresh process for each job."""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import tempfile
from array import array
from typing import TYPE_CHECKING, Any, NoReturn

from .cache import Cache
from .failed import Failed
from .job import work
from .lease import join
from .profiling import profile
from .requests import checked
from .runtimes import RUNTIMES
from .turns import take_turns
from .wire import LONGEST_REQUEST_BYTES, Lines, Refused, parse, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from .runtimes import Runtime

PROTOCOL_VERSION = 1
STDERR_KEPT_BYTES = 16384


HOST_GONE, NO_REPLY = 10, 11


def in_child(runtime: Runtime, cache: Cache, stderr_fd: int, jobs: array[int]) -> NoReturn:
    """Read one job, do it, reply to the host, and leave without the parent's clean-up."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: do not outlive the zygote
    lines = Lines(0, LONGEST_REQUEST_BYTES)
    line = lines.next()
    if line is None:
        os._exit(HOST_GONE)
    host = os.dup(1)
    os.dup2(stderr_fd, 2)
    os.dup2(stderr_fd, 1)
    try:
        job = checked(parse(line))
        # SIGALRM ends even a process that hangs in native code.
        signal.setitimer(signal.ITIMER_REAL, job["deadline_s"])
        if job["op"] == "turns":
            message = {"ok": take_turns(runtime, cache, job, lines, host)}
        else:
            message = {"ok": (profile if job["op"] == "profile" else work)(runtime, cache, job)}
    except Failed as error:
        message = failure(error.kind, str(error), stderr_fd)
    except MemoryError:
        message = failure("out of memory", "Python could not allocate memory", stderr_fd)
    except (Refused, KeyError, TypeError, ValueError) as error:
        message = {"error": {"kind": "refused", "message": "%s: %s" % (type(error).__name__, error)}}
    except Exception as error:  # whatever it is, the host must hear of it
        message = failure("crashed", "%s: %s" % (type(error).__name__, error), stderr_fd)
    signal.setitimer(signal.ITIMER_REAL, 0)
    reply(host, {**message, "job": jobs[0]})
    os._exit(0)


def failure(kind: str, message: str, stderr_fd: int) -> dict[str, Any]:
    """Return the message that tells the host of a candidate's failure, with the end of its standard error."""
    size = os.fstat(stderr_fd).st_size
    kept = min(size, STDERR_KEPT_BYTES)
    detail = os.pread(stderr_fd, kept, size - kept).decode(errors="replace")
    return {"failure": {"kind": kind, "message": message, "detail": detail}}


def in_fresh_process(task: Callable[[], object], lease_fd: int = -1) -> int | None:
    """Fork, run `task` in the child, and return its wait status; None (and no child) when the host went away.

    The parent touches nothing but a pipe: each child starts from the same memory, so that equal jobs execute
    equal instructions.
    """
    alive_fd, child_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(alive_fd)
        task()
        os._exit(NO_REPLY)
    os.close(child_fd)
    watch = select.poll()
    watch.register(alive_fd, 0)
    watch.register(0, select.POLLRDHUP)
    if lease_fd >= 0:
        watch.register(lease_fd, select.POLLRDHUP)
    ended = False
    while not ended:
        events = watch.poll()
        ended = any(fd == alive_fd for fd, _ in events)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
    os.close(alive_fd)
    return os.waitpid(pid, 0)[1]


def how_it_ended(status: int) -> tuple[str, str]:
    """Return the failure's kind and words for a process that ended without a reply."""
    if not os.WIFSIGNALED(status):
        return "crashed", "the runtime ended with status %d and left no result" % os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    if number == signal.SIGALRM:
        return "timed out", "there was no result by the deadline"
    hint = " (often: out of memory)" if number == signal.SIGKILL else ""
    return "crashed", "the runtime was ended by %s%s" % (signal.Signals(number).name, hint)


def lease_ended(requests: select.poll, lease_fd: int, timeout_ms: int | None) -> bool:
    """Wait for a request, or for the end of the lease; return whether it was that."""
    return lease_fd in [fd for fd, _ in requests.poll(timeout_ms)]


def serve_zygote(root: str, name: str, folder: str, lease: str = "") -> None:
    """Import a runtime, then run jobs in fresh processes until standard input, or the lease, ends."""
    cache = Cache(root)
    member = join(lease) if lease else None
    lease_fd = member.fileno() if member else -1
    runtime = RUNTIMES[name](cache.folder(folder))
    jobs = array("q", [0])  # counted in place: each child must find the same memory
    requests = select.poll()
    requests.register(0, select.POLLIN)
    if member:
        requests.register(lease_fd, select.POLLIN | select.POLLRDHUP)
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection would come at another moment in each child
    with tempfile.TemporaryFile() as stderr:
        for _ in range(REHEARSALS):
            lease_ended(requests, lease_fd, 0)
            in_fresh_process(lambda: os._exit(0), lease_fd)
        reply(1, {"ok": {"protocol": PROTOCOL_VERSION}})
        while True:
            if lease_ended(requests, lease_fd, None):
                return
            stderr.truncate(0)
            stderr.seek(0)
            jobs[0] += 1
            status = in_fresh_process(lambda: in_child(runtime, cache, stderr.fileno(), jobs), lease_fd)
            if status is None or (os.WIFEXITED(status) and os.WEXITSTATUS(status) == HOST_GONE):
                return
            if status != 0:
                kind, words = how_it_ended(status)
                reply(1, {**failure(kind, words, stderr.fileno()), "job": jobs[0]})


REHEARSALS = 2
