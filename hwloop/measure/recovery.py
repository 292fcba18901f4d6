"""Trying again: which failures may pass, how long to pause, and when a device has had its chance."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception

from hwloop.deadline import Deadline
from hwloop.errors import DeviceError, DeviceTimeout, DeviceUnreachable, RunnerError

FIRST_CONTACT_S = 10.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LOOK_S = 0.5
BROKEN_RUNNERS = 5  # in a row: one that breaks its contract each time will not mend


class Patience:
    """How long a device may go without progress; every finished process starts the time anew.

    A device that was never reached has ten seconds: its address may be wrong.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._deadline = Deadline.after(min(patience_s, FIRST_CONTACT_S))
        self._reached = False
        self.failures = 0
        self.broken_runners = 0

    def reached(self) -> None:
        """Note that the device answered for the first time."""
        if not self._reached:
            self._reached = True
            self._deadline = Deadline.after(self._patience_s)

    def progress(self) -> None:
        """Note that something got done."""
        self.failures = self.broken_runners = 0
        self._deadline = Deadline.after(self._patience_s)

    def failed(self, error: BaseException) -> None:
        """Note a failure."""
        if self.failures == 0 and self._reached:
            self._deadline = Deadline.after(self._patience_s)
        self.failures += 1
        self.broken_runners = self.broken_runners + 1 if isinstance(error, RunnerError) else 0

    def waited(self, seconds: float) -> None:
        """Note that others had the device meanwhile, which is no failure of it."""
        self._deadline = Deadline(self._deadline.at_s + seconds)

    @property
    def remaining_s(self) -> float:
        """How long the device may still fail."""
        return self._deadline.remaining_s

    @property
    def was_reached(self) -> bool:
        """Whether the device ever answered."""
        return self._reached

    @property
    def exhausted(self) -> bool:
        """Whether the device has had its chance."""
        return self._deadline.expired or self.broken_runners >= BROKEN_RUNNERS


def may_pass(error: BaseException) -> bool:
    """Whether trying again can help: networks, sleeping boards, reboots. A refusal or a wrong key does not pass."""
    return isinstance(error, DeviceUnreachable | DeviceTimeout | RunnerError)


def retrying(
    patience: Patience,
    stop: threading.Event,
    say: Callable[[str], None],
    over: Callable[[], bool] = lambda: False,
) -> Retrying:
    """Return what runs a function until it returns, pausing ever longer after failures that may pass.

    `say` hears of each failure and how long the pause will be. `stop` ends a pause, and so does `over`, which says that
    nothing is left to do: the function is called once more, and knows it too.
    """

    def note(state: RetryCallState) -> bool:
        assert state.outcome
        error = state.outcome.exception()
        assert error
        patience.failed(error)
        return patience.exhausted or stop.is_set()

    def pause_s(state: RetryCallState) -> float:
        doubled_s = SHORTEST_PAUSE_S * 2.0 ** min(patience.failures - 1, 10)
        return min(patience.remaining_s, min(LONGEST_PAUSE_S, doubled_s) * random.uniform(0.75, 1.25))

    def tell(state: RetryCallState) -> None:
        assert state.outcome and state.next_action
        error = state.outcome.exception()
        assert isinstance(error, DeviceError)
        words = str(error).splitlines()[0]
        say(f"{words}; trying again in {state.next_action.sleep:.0f} s ({patience.failures})")

    def pause(seconds: float) -> None:
        deadline = Deadline.after(seconds)
        while not (deadline.expired or over()) and not stop.wait(min(LOOK_S, deadline.remaining_s)):
            pass

    return Retrying(
        retry=retry_if_exception(may_pass),
        stop=note,
        wait=pause_s,
        before_sleep=tell,
        sleep=pause,
        reraise=True,
    )
