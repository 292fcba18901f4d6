"""A job as it runs on its device: the schedule, the gate and the runner of a session, with nobody at the other end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from hwloop.devices.carried.runner_process import Broken
from hwloop.devices.gates import Gate
from hwloop.records.limits import usual_limits
from hwloop.records.protocol import TimingProtocol
from hwloop.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwloop.devices.carried.bench import DeviceBench
    from hwloop.devices.carried.job_file import JobFile
    from hwloop.devices.carried.journal import Journal

STRIKES = 5  # a process that breaks the runner, or is killed, each time is given up


class Ran(NamedTuple):
    """What the schedule must know of a process."""

    samples_ns: list[int]


class Measuring:
    """Runs the processes of a job until each cell has enough; every reply is in the journal at once."""

    def __init__(
        self,
        job: JobFile,
        bench: DeviceBench,
        journal: Journal,
        say: Callable[[str], None],
        wait: Callable[[float], bool],
    ) -> None:
        self.job = job
        self.bench = bench
        self.journal = journal
        self.say = say
        self.protocol = TimingProtocol.from_json(job.document["protocol"])
        limits = replace(usual_limits(bench.facts), **job.document["limits"])
        self.gate = Gate(limits, bench.evidence, say, wait, threads=self.protocol.threads)
        self.strikes: Counter[int] = Counter()
        self.schedule: Schedule[int] = Schedule(self.protocol)
        for index, cell in enumerate(job.cells):
            if "request" in cell:
                self._add(index)

    def _add(self, index: int) -> None:
        replies = list(self.journal.of(index))
        self.schedule.add(index, [Ran(reply["ok"]["samples_ns"]) for reply in replies if "ok" in reply])
        if any("failure" in reply for reply in replies):
            self.schedule.close(index)

    def run(self) -> None:
        """Measure what is open.

        Raises:
            Broken: a runtime does not start on this device.
        """
        while True:
            index = self.schedule.next()
            if index is None:
                return
            self.gate.await_calm()
            reply = self._process(index)
            if reply is None:
                self.schedule.retry(index)
                continue
            self.journal.add(index, reply)
            if "ok" in reply:
                self.schedule.tell(index, Ran(reply["ok"]["samples_ns"]))
            else:
                self.schedule.close(index)
            self._tell(index, reply)

    def _process(self, index: int) -> dict[str, Any] | None:
        """Run one process; return its reply, or None where it shall be tried again."""
        cell = self.job.cells[index]
        budget = self.schedule.budget(index)
        known = {reply["ok"]["outputs_digest"] for reply in self.journal.of(index) if "ok" in reply}
        request = {
            **cell["request"],
            "seconds": budget.seconds,
            "min_calls": budget.min_calls,
            "max_calls": budget.max_calls,
            "known_outputs": sorted(known),
        }
        try:
            reply = self.bench.run(cell["subject"]["runtime"], request)
        except Broken as error:
            self.strikes[index] += 1
            if self.strikes[index] >= STRIKES:
                raise
            self.say("%s: the runner broke, and is started anew: %s" % (name_of(cell), error))
            return None
        failure = reply.get("failure")
        if failure and failure["kind"] == "crashed" and "SIGKILL" in failure["message"]:
            self.strikes[index] += 1  # somebody killed it, perhaps not for its memory
            return None if self.strikes[index] < STRIKES else reply
        self.strikes[index] = 0
        return reply

    def _tell(self, index: int, reply: dict[str, Any]) -> None:
        cell = self.job.cells[index]
        if "ok" in reply:
            count = sum(1 for _ in self.journal.of(index))
            words = "process %d, median %.4g ms" % (count, median(reply["ok"]["samples_ns"]) / 1e6)
        else:
            words = "FAILED: %s: %s" % (reply["failure"]["kind"], reply["failure"]["message"])
        self.say("%3.0f %%  %s: %s" % (100 * self.schedule.share_done, name_of(cell), words))


def name_of(cell: dict[str, Any]) -> str:
    """Return how a cell is called."""
    return "%s with %s" % (cell["subject"]["model"], cell["subject"]["runtime"])
