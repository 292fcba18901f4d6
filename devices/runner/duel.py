"""Contestants side by side: a fresh process each, timed in turns on the same processors.

The turns go there and back, as in A B C C B A: what drifts steadily weighs on all of them alike. Each time the
order is drawn anew, so that no contestant owns a place.
"""

from __future__ import annotations

import json
import random
import select
import subprocess
import sys
import time
from typing import Any

from .evidence import evidence
from .requests import checked
from .wire import LONGEST_REQUEST_BYTES, Lines, Refused, parse, reply

MOST_CALLS = 1000  # in one turn
ZYGOTE_ENDS_S = 5


class Gone(Exception):
    """The host went away."""


class Broken(Exception):
    """A contestant did not answer as agreed; `answer` is what the host shall hear."""

    def __init__(self, contestant: int, answer: dict[str, Any]) -> None:
        super().__init__(str(answer))
        self.answer = {**answer, "contestant": contestant}


class Contestant:
    """One contestant's zygote, and the process that takes turns just now."""

    def __init__(self, number: int, command: list[str]) -> None:
        self.number = number
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        assert self.process.stdin and self.process.stdout
        self.stdin = self.process.stdin.fileno()
        self.lines = Lines(self.process.stdout.fileno())
        self.watch = select.poll()
        self.watch.register(self.lines.fd, select.POLLIN)
        self.watch.register(0, select.POLLRDHUP)
        self.receive()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its result."""
        reply(self.stdin, request)
        return self.receive()

    def receive(self) -> dict[str, Any]:
        """Return the next result; a failure, an error or an end is Broken."""
        while not self.lines.ready and not self.lines.ended:
            if any(fd == 0 for fd, _ in self.watch.poll()):
                raise Gone
            self.lines.fill()
        line = self.lines.next()
        if line is None:
            words = "its process ended without an answer"
            raise Broken(self.number, {"error": {"kind": "ended", "message": words}})
        answer = json.loads(line.decode())
        if "ok" not in answer:
            raise Broken(self.number, answer)
        result: dict[str, Any] = answer["ok"]
        return result

    def end(self) -> None:
        """End the zygote and its process."""
        self.process.kill()
        self.process.wait(ZYGOTE_ENDS_S)
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()


class Duel:
    """The contestants of one comparison; their zygotes stay from set to set, their processes do not."""

    def __init__(self, zygote_command: list[str], lease: list[str]) -> None:
        self.zygote_command = zygote_command
        self.lease = lease
        self.contestants: dict[int, Contestant] = {}

    def serve(self) -> None:
        """Answer requests for sets until standard input ends."""
        requests = Lines(0, LONGEST_REQUEST_BYTES)
        try:
            for line in iter(requests.next, None):
                reply(1, self.answer(line))
        except Gone:
            return
        finally:
            self.dismiss()

    def answer(self, line: bytes) -> dict[str, Any]:
        """Return the answer to one request."""
        try:
            request = checked(parse(line))
            return {"ok": self.measure_set(request)}
        except Broken as error:
            self.dismiss()
            return error.answer
        except (Refused, KeyError, TypeError, ValueError) as error:
            self.dismiss()
            return {"error": {"kind": "refused", "message": "%s: %s" % (type(error).__name__, error)}}

    def dismiss(self) -> None:
        """End all zygotes."""
        for contestant in self.contestants.values():
            contestant.end()
        self.contestants.clear()

    def measure_set(self, request: dict[str, Any]) -> dict[str, Any]:
        """Time one fresh process of each contestant in turns, for the seconds asked."""
        asked = request["contestants"]
        draw = random.Random(request["seed"])
        numbers = list(range(len(asked)))
        calls: dict[int, int] = {}
        before = evidence()
        for number in draw.sample(numbers, len(numbers)):
            ready = self.contestant(number, asked[number]).ask(asked[number]["job"])
            wanted = request["turn_seconds"] * 1e9 / max(1.0, ready["call_ns"])
            calls[number] = min(MOST_CALLS, max(1, round(wanted)))
        rounds: list[list[dict[str, Any]]] = []
        end = time.perf_counter() + request["seconds"]
        while not rounds or time.perf_counter() < end:
            there = draw.sample(numbers, len(numbers))
            rounds.append([self.turn(number, calls[number]) for number in there + there[::-1]])
        results = [self.contestants[number].ask({"op": "end"}) for number in numbers]
        return {"rounds": rounds, "results": results, "before": before, "after": evidence()}

    def contestant(self, number: int, asked: dict[str, Any]) -> Contestant:
        """Return a contestant; its zygote is started if there is none."""
        if number not in self.contestants:
            self.contestants[number] = Contestant(
                number, self.zygote_command + [asked["runtime"], asked["folder"]] + self.lease
            )
        return self.contestants[number]

    def turn(self, number: int, calls: int) -> dict[str, Any]:
        """Let one contestant take its turn."""
        found = self.contestants[number].ask({"op": "turn", "calls": calls})
        return {"contestant": number, "samples_ns": found["samples_ns"]}


def serve_duel(root: str, *lease: str) -> None:
    """Run comparisons out of a cache until standard input ends; with the lease end the zygotes, and so the set."""
    Duel([sys.executable, "-I", "-S", sys.argv[0], "zygote", root], list(lease)).serve()
