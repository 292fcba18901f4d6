"""The guard: a shell on the device that ends what was started there, when it is told to or its host is gone.

Whatever is started carries a mark in its environment, which its descendants inherit: neither `setsid` nor a parent
that ends takes them out of the guard's sight.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence

from hwloop.deadline import Deadline
from hwloop.devices.transports.base import Process
from hwloop.errors import DeviceUnreachable

MARK = "HWLOOP_SESSION"
# Arguments: the session, and how many seconds of silence mean that the host is gone (0: none do). A line of input is
# `MARK GROUP…` (end these), or empty (the host lives); the end of input ends all. The last sweep but one may miss what
# is starting. After silence the parent, the SSH server's end of the connection, is ended too: with it go other waits.
SCRIPT = r"""
exec 2>/dev/null
session=$1 patience_s=$2 host=$PPID main=$$
sweep() {
    mark=$1; shift
    for group; do kill -s KILL -- "-$group"; done
    for pass in 1 2 3 4 5; do
        found=$(grep -lF "HWLOOP_SESSION=$mark" /proc/[0-9]*/environ)
        [ "$found" ] || break
        for path in $found; do path=${path#/proc/}; kill -s KILL "${path%/environ}"; done
    done
}
listen() {
    trap 'heard=1; kill -s KILL $!' USR1
    trap 'kill -s KILL $!; exit' TERM
    export HWLOOP_SESSION="$session"
    heard=1
    while [ "$heard" ]; do heard=; sleep "$patience_s" & wait $!; done
    kill -s 0 "$main" || exit
    sweep "$session"
    kill "$host"; kill "$main"
}
trap '' USR1
timer=
[ "$patience_s" -eq 0 ] || { listen > /dev/null & timer=$!; }
while read -r mark groups; do
    [ "$mark" != "$session" ] || break
    kill -s USR1 $timer
    [ "$mark" ] || continue
    sweep "$mark" $groups
    echo "done $mark"
done
kill $timer
sweep "$session" $groups
[ "$mark" ] && echo "done $mark" && exit
sleep 1
sweep "$session"
"""


def environment_of(mark: str) -> dict[str, str]:
    """Return what is added to the environment of a command."""
    return {MARK: mark}


def marked(command: Sequence[str], mark: str) -> list[str]:
    """Return a command that keeps the mark where it empties its environment; all marks are of equal length."""
    if tuple(command[:2]) == ("env", "-i"):
        return ["env", "-i", f"{MARK}={mark}", *command[2:]]
    return list(command)


class Guard:
    """The guard of one session; started when first needed, and again if something else ended it.

    `start` starts the given command on the device, unmarked.
    """

    def __init__(self, device: str, start: Callable[[Sequence[str], Deadline], Process], patience_s: int = 0) -> None:
        self._device = device
        self._start = start
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._marks = 0
        self.session = secrets.token_hex(8)

    def new_mark(self) -> str:
        """Return the mark of one more command."""
        with self._lock:
            self._marks += 1
            return f"{self.session}-{self._marks:08d}"

    def stand(self, deadline: Deadline) -> None:
        """Have a guard on the device.

        Raises:
            DeviceError: it cannot be started.
        """
        with self._lock:
            if self._process is None:
                self._say("", deadline)

    def post(self, deadline: Deadline) -> None:
        """Tell the guard, if there is one, that the host lives; errors as for `stand`."""
        with self._lock:
            if self._needed:
                self._say("", deadline)

    def sweep(self, deadline: Deadline, mark: str = "", groups: Sequence[int] = ()) -> None:
        """End the processes with this mark, and those of the groups; without a mark all of the session, and the guard.

        Raises:
            DeviceError: the guard does not answer.
        """
        mark = mark or self.session
        with self._lock:
            if not self._needed:
                return
            for last_try in (False, True):
                process = self._say(" ".join([mark, *map(str, groups)]), deadline)
                try:
                    while process.read_line(deadline) != f"done {mark}".encode():
                        """An answer that came too late for the one who asked."""
                    break
                except EOFError as error:
                    self._process = None
                    if last_try:
                        raise DeviceUnreachable(self._device, "its guard ended") from error
            if mark == self.session:
                self._process = None

    @property
    def _needed(self) -> bool:
        return self._process is not None or self._marks > 0

    def _say(self, words: str, deadline: Deadline) -> Process:
        line = words.encode() + b"\n"
        if self._process is not None:
            try:
                self._process.write(line, deadline)
                return self._process
            except DeviceUnreachable:
                self._process = None
        self._process = self._start(["sh", "-c", SCRIPT, "sh", self.session, str(self._patience_s)], deadline)
        self._process.write(line, deadline)
        return self._process
