"""This device as a job finds it: the runner's agent, the lease, the runtimes."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from hwloop.devices.carried.job_file import BLOBS
from hwloop.devices.carried.runner_process import Broken, RunnerProcess
from hwloop.devices.checks import general_problems, target_problems
from hwloop.records.device import DeviceFacts, Target
from hwloop.records.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwloop.devices.carried.job_file import JobFile

ANSWER_S, FILES_S, READY_S, GRACE_S = 60.0, 600.0, 120.0, 15.0
BEAT_S, WAIT_STEP_S, LEASE_S = 5.0, 5.0, 24 * 3600.0
DISK_RESERVE_BYTES = 64 << 20


class Unsuited(Exception):
    """This device cannot run the job; the message says why."""


def as_target(found: dict[str, Any]) -> Target:
    """Return a target from its JSON form."""
    features, glibc = tuple(found["features"]), (found["glibc"][0], found["glibc"][1])
    return Target(found["triple"], found["cpu"], features, found["num_cores"], glibc)


def as_facts(found: dict[str, Any]) -> DeviceFacts:
    """Return a device's facts from their JSON form."""
    lists = {name: tuple(found[name]) for name in ("glibc", "python", "cpu_features")}
    return DeviceFacts(**{**found, **lists})


class DeviceBench:
    """What a session is to a device that is reached, for one that is not; the same runner does the work."""

    def __init__(self, job: JobFile, cache: str, say: Callable[[str], None]) -> None:
        self.job = job
        self.cache = cache
        self.say = say
        self.zygotes: dict[str, tuple[RunnerProcess, list[int]]] = {}
        self.lease_word = ""
        self.in_use: set[str] = set()
        self.closed = threading.Event()
        self.runner = os.path.join(cache, job.document["runner"])
        os.makedirs(cache, mode=0o700, exist_ok=True)
        job.extract(job.document["runner"], self.runner)
        self.agent = RunnerProcess(self.runner, ["agent", cache])
        self.found: dict[str, Any] = self.ask("facts")

    def ask(self, op: str, limit_s: float = ANSWER_S, **fields: Any) -> Any:
        """Ask the agent."""
        return self.agent.ask({"op": op, **fields}, limit_s)["ok"]

    @property
    def facts(self) -> DeviceFacts:
        """What this device is."""
        return as_facts(self.found)

    def refuse_unsuited(self) -> None:
        """See that what was built runs here.

        Raises:
            Unsuited: with every reason why it does not.
        """
        document, facts = self.job.document, self.facts
        problems = [*general_problems(facts), *target_problems(facts, as_target(document["target"]))]
        wanted = tuple(document["python"])
        if facts.python[:2] != wanted and any(one["archives"] for one in document["runtimes"].values()):
            problems.append("its Python is %d.%d, and the job's packages are for %d.%d" % (facts.python[:2] + wanted))
        if problems:
            raise Unsuited(
                "%s. Correct the device's entry in devices.yaml, and write the job anew." % "; ".join(problems)
            )

    def lease(self) -> None:
        """Take this device's lease, waiting for it while others measure here.

        Raises:
            Broken: they measured for a whole day.
        """
        owner = {"user": user(), "host": socket.gethostname()[:200], "pid": os.getpid(), "doing": "a carried job"}
        token, told, until_s = secrets.token_hex(16), "", time.monotonic() + LEASE_S
        while True:
            answer = self.ask("lease", owner=owner, token=token)
            if "holder" not in answer:
                break
            if time.monotonic() > until_s:
                raise Broken(
                    "others measured here for %.0f hours: %s" % (LEASE_S / 3600, holder_words(answer["holder"]))
                )
            told, before = holder_words(answer["holder"]), told
            if told != before:
                self.say("waiting for %s" % told)
            self.ask("await", seconds=WAIT_STEP_S)
        self.lease_word = "%s-%s" % (answer["identity"], token)
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self.closed.wait(BEAT_S):
            try:
                self.ask("beat", FILES_S)
            except Broken:
                return  # the next request tells what is wrong

    def unpack(self) -> None:
        """Bring runtimes, artifacts and inputs from the archive to hwloop's folder here.

        Raises:
            Unsuited: there is no room for them.
        """
        document = self.job.document
        folders = [*document["runtimes"].values(), *(cell["folder"] for cell in self.job.cells if "folder" in cell)]
        inputs = [spec["blob"] for cell in self.job.cells if "request" in cell for spec in cell["request"]["inputs"]]
        blobs = {digest for one in folders for digest in [*one["files"].values(), *one["archives"]]} | set(inputs)
        self.in_use = blobs | {one["digest"] for one in folders}
        missing = self.ask("missing", blobs=sorted(blobs), folders=[one["digest"] for one in folders])
        new = [one for one in folders if one["digest"] in missing["folders"]]
        needed = {digest for one in new for digest in [*one["files"].values(), *one["archives"]]} | set(inputs)
        arriving = [digest for digest in missing["blobs"] if digest in needed]
        size = sum(self.job.archive.getinfo(BLOBS + digest).file_size for digest in arriving)
        if size + DISK_RESERVE_BYTES > shutil.disk_usage(self.cache).free:
            raise Unsuited(
                "there is no room for %.0f MB in %s; --cache names another folder" % (size / 1e6, self.cache)
            )
        nonce = secrets.token_hex(8)
        for digest in arriving:
            name = "%s.%s" % (digest, nonce)
            self.job.extract(BLOBS + digest, os.path.join(self.cache, "incoming", name))
        self.ask("adopt", FILES_S, files={digest: "%s.%s" % (digest, nonce) for digest in arriving})
        for one in {folder["digest"]: folder for folder in new}.values():
            self.ask("assemble", FILES_S, folder=one["digest"], files=one["files"], archives=one["archives"])

    def trim(self) -> None:
        """Make hwloop's folder here as small as the fleet file says, but for what this job uses."""
        self.ask("trim", FILES_S, limit_bytes=self.job.document["cache_limit_bytes"], keep=sorted(self.in_use))

    def evidence(self) -> Evidence:
        """Return what state this device is in."""
        return Evidence(**self.ask("evidence"))

    def run(self, runtime: str, request: dict[str, Any]) -> dict[str, Any]:
        """Run one process with a runtime and return its reply: `ok` or `failure`.

        Raises:
            Broken: the runtime does not start, or its process broke its contract; the next call starts another.
        """
        if runtime not in self.zygotes:
            folder = self.job.document["runtimes"][runtime]["digest"]
            started = RunnerProcess(self.runner, ["zygote", self.cache, runtime, folder, self.lease_word])
            self.zygotes[runtime] = started, [0]
            self.guarded(runtime, lambda: started.hear(READY_S))
        zygote, jobs = self.zygotes[runtime]
        jobs[0] += 1
        limit_s = request["deadline_s"] + GRACE_S
        reply = self.guarded(runtime, lambda: zygote.ask(request, limit_s))
        # A job that was killed just after its answer leaves a second one.
        while reply.get("job") in range(jobs[0]):
            reply = self.guarded(runtime, lambda: zygote.hear(limit_s))
        return reply

    def guarded(self, runtime: str, speak: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what a zygote answers; one that is broken is ended."""
        try:
            return speak()
        except Broken:
            self.zygotes.pop(runtime)[0].close()
            raise

    def close(self) -> None:
        """End everything and give the lease up."""
        self.closed.set()
        for zygote, _ in self.zygotes.values():
            zygote.close()
        self.agent.close()


def holder_words(card: dict[str, Any]) -> str:
    """Return who holds the lease, as its card says; one who is too busy to show it has none."""
    owner = card.get("owner")
    if not owner:
        return "somebody who measures on this device"
    return "%s@%s (%s)" % (owner["user"], owner["host"], owner["doing"])


def user() -> str:
    """Return the user's name, or number where there is none."""
    try:
        return getpass.getuser()[:200]
    except (KeyError, OSError):
        return str(os.getuid())
