"""What was measured so far: a line for each process, on the disk before the next one starts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hwloop.devices.carried.results_file import write_results

if TYPE_CHECKING:
    from collections.abc import Iterator


class StrangeJournal(Exception):
    """A journal of another job or board, or one that cannot be read."""


class Journal:
    """The replies of a job's processes, cell by cell, in order.

    It stands beside the results until the job is finished, so that a job that was ended goes on where it was.
    """

    def __init__(self, path: str, job: str, facts: dict[str, Any]) -> None:
        """Open the journal at `path`, or begin one.

        Raises:
            StrangeJournal: it is there, and of another job or board, or damaged.
        """
        self.path = path
        self.job = job
        self.facts = facts
        self.replies: list[dict[str, Any]] = []
        whole = b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]  # a power cut tears the last line
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            of = (lines[0]["job"], lines[0]["identity"]) if lines else None
        except (ValueError, KeyError, TypeError) as error:
            raise StrangeJournal("%s is damaged (%s)" % (path, error))
        if lines and of != (job, facts["identity"]):
            raise StrangeJournal("%s is of another job, or of another board" % path)
        self.replies = lines[1:]
        self.file = open(path, "ab")
        self.file.truncate(len(whole))
        if not lines:
            self._write({"job": job, "identity": facts["identity"]})

    def add(self, cell: int, reply: dict[str, Any]) -> None:
        """Keep what a process of a cell answered: `ok` or `failure`."""
        entry: dict[str, Any] = {key: reply[key] for key in ("ok", "failure") if key in reply}
        entry["cell"] = cell
        self._write(entry)
        self.replies.append(entry)

    def of(self, cell: int) -> Iterator[dict[str, Any]]:
        """Yield the replies of a cell."""
        return (entry for entry in self.replies if entry["cell"] == cell)

    def write_results(self, path: str, *, finished: bool) -> None:
        """Write everything into a results file; the journal of a finished job goes."""
        content = {"job": self.job, "facts": self.facts, "finished": finished, "replies": self.replies}
        write_results(path, content)
        if finished:
            os.unlink(self.path)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self.file.close()

    def _write(self, entry: dict[str, Any]) -> None:
        self.file.write(json.dumps(entry).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())
