"""Notices a dead peer, and tells the device that its host lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import paramiko

from hwloop.deadline import Deadline
from hwloop.devices.transports.guard import Guard
from hwloop.devices.transports.ssh_connection import Connection
from hwloop.devices.transports.watchdog import Watchdog
from hwloop.errors import DeviceError

BEAT_S = 10.0
POST_EVERY = 3
# TCP retransmits an unlucky packet after 0.2, 0.6, … 12.6, 25.4 s.
QUIET_BEATS = 3


class Pulse:
    """Asks every server of a chain for an answer every 10 s; cuts the chain when one has said nothing for 30 to 40 s.

    Anything that arrives is an answer, so that a slow line with much under way counts as living.
    """

    def __init__(self, chain: Sequence[Connection], watchdog: Watchdog, cut: Callable[[], None], guard: Guard) -> None:
        self._chain = chain
        self._watchdog = watchdog
        self._cut = cut
        self._guard = guard
        self._stopped = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="hwloop-pulse").start()

    def stop(self) -> None:
        """Let it end."""
        self._stopped.set()

    def _run(self) -> None:
        heard, quiet = [connection.packets for connection in self._chain], [0] * len(self._chain)
        beat = 0
        while not self._stopped.wait(BEAT_S):
            before, heard = heard, [connection.packets for connection in self._chain]
            quiet = [0 if now != last else beats + 1 for now, last, beats in zip(heard, before, quiet, strict=True)]
            if max(quiet, default=0) >= QUIET_BEATS:
                self._cut()
                return
            beat += 1
            # What was lost here, everybody who waits on the connection sees too.
            with suppress(paramiko.SSHException, OSError, EOFError, DeviceError):
                limit = Deadline.after(BEAT_S * QUIET_BEATS)
                with self._watchdog.watching(limit):
                    for connection in self._chain:
                        connection.ask_for_an_answer()
                    if beat % POST_EVERY == 0:
                        self._guard.post(limit)
