"""An open device: its agent, its zygotes, and what was pushed to it."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hwloop.deadline import Deadline
from hwloop.devices.agent import PRIVATE, Agent, exchange, read_reply
from hwloop.devices.folders import Blob, Folder
from hwloop.devices.jobs import JobResult, parse_evidence, parse_reply
from hwloop.devices.lease import Holder, Owner
from hwloop.devices.profiling import RawProfile, parse_profile
from hwloop.devices.runner_file import runner_file
from hwloop.devices.transports.base import Completed, Process, Transport
from hwloop.errors import (
    DeviceBusy,
    DeviceDiskFull,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnsuited,
    RunnerError,
)
from hwloop.records import DeviceFacts, Evidence, Failure

ANSWER_S = 60.0
READY_S = 120.0
GRACE_S = 15.0
BEAT_S = 5.0
WAIT_STEP_S = 5.0
DISK_RESERVE_BYTES = 64 << 20
TRIMMED_EACH = 0.25  # of the cache's limit: when so much was pushed, the cache is trimmed

# Prints the cache folder, the interpreter, whether the runner is there, and the folder's owner and rights (nothing
# where there is none yet) after the own number: one round trip.
BOOTSTRAP = """
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/hwloop/device}
echo "$cache"
command -v "$2" || echo
[ -s "$cache/$3" ] && echo present || echo absent
echo "$(id -u) $(LC_ALL=C ls -ldn "$cache/." 2>/dev/null)"
"""


@dataclass(frozen=True)
class SessionOptions:
    """How a session is opened.

    The device's Python, its cache folder ("": the usual one), what precedes the command of a process whose instructions
    are counted, and how large the cache may grow (None: there is no limit), but for what is in use.
    """

    python: str = "python3"
    cache_dir: str = ""
    counted_prefix: tuple[str, ...] = ()
    cache_limit_bytes: int | None = None


class Zygote:
    """A process on the device that has imported a runtime and forks a fresh process for each job."""

    def __init__(self, device: str, process: Process) -> None:
        self._device = device
        self._process = process
        self._jobs = 0

    def run(self, request: dict[str, object]) -> JobResult | Failure:
        """Run one job; a hang or a crash of the job is a Failure.

        Raises:
            RunnerError: the zygote itself ended or broke its contract.
            DeviceTimeout: nothing came within the job's deadline and 15 s more; the zygote is dead then.
        """
        return parse_reply(self._device, self._answer(request))

    def profile(self, request: dict[str, object]) -> RawProfile | Failure:
        """Profile an artifact in one fresh process; errors as those of `run`."""
        return parse_profile(self._device, self._answer(request))

    def _answer(self, request: dict[str, object]) -> dict[str, Any]:
        deadline = Deadline.after(float(request["deadline_s"]) + GRACE_S)  # type: ignore[arg-type]
        self._jobs += 1
        try:
            reply = exchange(self._device, self._process, request, deadline)
            # A job that was killed just after its answer leaves a second one.
            while reply.get("job") in range(self._jobs):
                reply = read_reply(self._device, self._process, deadline)
        except DeviceTimeout:
            self._process.kill()
            raise
        return reply

    def close(self) -> None:
        """End the zygote and the job that it may be running."""
        self._process.kill()


class DeviceSession:
    """One open connection to one device; push from one thread while another one times."""

    def __init__(self, name: str, transport: Transport, options: SessionOptions) -> None:
        self.name = name
        self._transport = transport
        self._options = options
        self._zygotes: dict[tuple[str, str], Zygote] = {}
        self._pushing = threading.Lock()
        self._lease = ""
        self._closed = threading.Event()
        self._uses: Counter[str] = Counter()  # how many of those who pushed it use a folder or blob, by its digest
        self._counting = threading.Lock()
        self.pushed_bytes = 0
        self._trimmed_at_bytes = 0

    def open(self, deadline: Deadline) -> None:
        """Connect, bring the runner, start its agent and read the device's facts.

        Raises:
            DeviceUnsuited: the device has no Python, or one too old.
            DeviceError: whatever else the transport raises.
        """
        self._transport.open(deadline)
        runner = runner_file()
        asked = self._transport.run(
            ["sh", "-c", BOOTSTRAP, "sh", self._options.cache_dir, self._options.python, runner.name],
            deadline,
        )
        lines = asked.stdout.decode(errors="replace").splitlines()
        if asked.status != 0 or len(lines) < 4:
            raise RunnerError(self.name, f"its shell did not answer: {asked.stderr.decode(errors='replace')}")
        self._cache, self._python, present, rights = lines[-4:]
        self._refuse_open_cache(rights.split())
        if not self._python:
            raise DeviceUnsuited(
                self.name,
                f"it has no {self._options.python}",
                remedy="Install python3 (3.8 or newer) there, or set `python` in devices.yaml.",
            )
        self._runner = f"{self._cache}/{runner.name}"
        if present != "present":
            self._transport.put(runner, self._runner, deadline)
        self._agent = self._start_agent(deadline)
        self.facts = parse_facts(self.name, self._agent.ask("facts", deadline))

    def _refuse_open_cache(self, words: Sequence[str]) -> None:
        """Refuse a folder that somebody else could put a runner into; `words`: own number, rights, links, owner."""
        if len(words) > 3 and (words[3] != words[0] or "w" in (words[1][5], words[1][8])):
            raise DeviceUnsuited(
                self.name, f"its folder {self._cache} is another user's, or writable by others", remedy=PRIVATE
            )

    def _start_agent(self, deadline: Deadline) -> Agent:
        process = self._transport.start(self._command("agent", self._cache), deadline)
        agent = Agent(self.name, process)
        try:
            agent.ask("evidence", deadline)
        except RunnerError as error:
            self._refuse_old_python(deadline)
            raise error
        return agent

    def _refuse_old_python(self, deadline: Deadline) -> None:
        script = "import sys; print('%d.%d' % sys.version_info[:2]); sys.exit(sys.version_info < (3, 8))"
        asked = self._transport.run([self._python, "-c", script], deadline)
        if asked.status == 1 and asked.stdout:
            version = asked.stdout.decode(errors="replace").strip()
            raise DeviceUnsuited(
                self.name, f"its Python is {version}", remedy="Install Python 3.8 or newer, or set `python`."
            )

    def _command(self, *words: str) -> list[str]:
        return [self._python, "-I", "-S", self._runner, *words]

    def lease(self, owner: Owner, deadline: Deadline, *, wait: bool, told: Callable[[Holder], None]) -> None:
        """Take the device's lease, or wait for it; what dead sessions left half done there is removed.

        `told` hears who holds it, as long as somebody does. The lease is given up with the session; when it is lost,
        everything that the session runs on the device ends, and requests raise RunnerError.

        Raises:
            DeviceBusy: somebody else holds it, and it is not to be waited for, or not any longer.
        """
        token = secrets.token_hex(16)
        while "holder" in (answer := self._ask("lease", owner=owner.as_json(), token=token)):
            holder = Holder.from_json(answer["holder"])
            told(holder)
            if not wait or deadline.expired:
                raise DeviceBusy(
                    self.name,
                    f"it is in use by {holder}",
                    remedy=f"Wait for it (--wait), or take it away: hwloop devices release {self.name}",
                )
            self._ask("await", seconds=min(WAIT_STEP_S, deadline.remaining_s))
        self._lease = f"{answer['identity']}-{token}"
        threading.Thread(target=self._beat, daemon=True, name=f"beat-{self.name}").start()

    def _beat(self) -> None:
        """Say every few seconds that this host lives; what is wrong, the next request will tell."""
        while not self._closed.wait(BEAT_S):
            try:
                self._ask("beat")
            except DeviceTimeout:
                continue  # it is busy with something of this session, which counts as a beat there
            except DeviceError:
                return

    @property
    def leased(self) -> bool:
        """Whether this session has taken the device's lease."""
        return bool(self._lease)

    def holder(self) -> Holder | None:
        """Return who holds the device's lease, if anybody does."""
        card = self._ask("holder")["holder"]
        return None if card is None else Holder.from_json(card)

    def revoke(self) -> None:
        """Take the lease away from whoever holds it; what they run on the device ends.

        Raises:
            DeviceRefused: another user of the device holds it.
        """
        answer = self._ask("revoke")
        if "refused" in answer:
            raise DeviceRefused(self.name, str(answer["refused"]), remedy="Ask them, or log in as root.")

    def trim(self, limit_bytes: int) -> int:
        """Make the device's cache as small as this, but for what this session uses; return the bytes freed.

        Needs the lease.
        """
        with self._counting:
            kept = sorted(self._uses)
        return int(self._ask("trim", limit_bytes=limit_bytes, keep=kept)["freed_bytes"])

    def _ask(self, op: str, **fields: object) -> Any:
        return self._agent.ask(op, Deadline.after(ANSWER_S), **fields)

    @property
    def counted(self) -> bool:
        """Whether this device counts instructions instead of taking times."""
        return bool(self._options.counted_prefix)

    def evidence(self, deadline: Deadline) -> Evidence:
        """Return the device's state right now."""
        return parse_evidence(self._agent.ask("evidence", deadline))

    def push(self, folders: Sequence[Folder], blobs: Iterable[Blob], deadline: Deadline) -> int:
        """Bring folders and single blobs to the device's cache; return the bytes that were sent.

        They stay there until they are released, or the session ends.

        Raises:
            DeviceDiskFull: there is no room for them.
        """
        with self._pushing:
            return self._push(folders, list(blobs), deadline)

    def release(self, folders: Sequence[Folder], blobs: Iterable[Blob]) -> None:
        """Say that what one `push` brought is not needed any more: where room is needed, it may go."""
        with self._counting:
            self._uses.subtract(_names(folders, blobs))
            self._uses = +self._uses  # without those that nobody uses

    def _push(self, folders: Sequence[Folder], blobs: list[Blob], deadline: Deadline) -> int:
        wanted = {blob.digest: blob for folder in folders for blob in folder.blobs}
        wanted |= {blob.digest: blob for blob in blobs}
        with self._counting:
            self._uses.update(_names(folders, blobs))
        found = self._agent.ask(
            "missing", deadline, blobs=sorted(wanted), folders=[folder.digest for folder in folders]
        )
        new_folders = [folder for folder in folders if folder.digest in found["folders"]]
        needed = {blob.digest for folder in new_folders for blob in folder.blobs} | {blob.digest for blob in blobs}
        missing = [wanted[digest] for digest in found["blobs"] if digest in needed]
        sent_bytes = sum(blob.path.stat().st_size for blob in missing)
        if missing:
            self._make_room(sent_bytes, deadline)
            self._send(missing, deadline)
        for folder in new_folders:
            self._agent.ask(
                "assemble",
                deadline,
                folder=folder.digest,
                files={name: blob.digest for name, blob in folder.files.items()},
                archives=[blob.digest for blob in folder.archives],
            )
        self.pushed_bytes += sent_bytes
        return sent_bytes

    def _send(self, blobs: Sequence[Blob], deadline: Deadline) -> None:
        nonce = secrets.token_hex(8)
        for blob in blobs:
            self._transport.put(blob.path, f"{self._cache}/incoming/{blob.digest}.{nonce}", deadline)
        self._agent.ask("adopt", deadline, files={blob.digest: f"{blob.digest}.{nonce}" for blob in blobs})

    def _make_room(self, needed_bytes: int, deadline: Deadline) -> None:
        """Keep the cache within its limit, and empty it before a disk counts as full, where that is ours to do."""
        limit_bytes = self._options.cache_limit_bytes
        since_bytes = self.pushed_bytes + needed_bytes - self._trimmed_at_bytes
        if self.leased and limit_bytes is not None and since_bytes > limit_bytes * TRIMMED_EACH:
            self.trim(limit_bytes)
            self._trimmed_at_bytes = self.pushed_bytes
        try:
            self._refuse_full_disk(needed_bytes, deadline)
        except DeviceDiskFull:
            if not self.leased or not self.trim(0):
                raise
            self._refuse_full_disk(needed_bytes, deadline)

    def _refuse_full_disk(self, needed_bytes: int, deadline: Deadline) -> None:
        free_bytes = int(self._agent.ask("facts", deadline)["disk_free_bytes"])
        if needed_bytes + DISK_RESERVE_BYTES > free_bytes:
            raise DeviceDiskFull(
                self.name,
                f"{needed_bytes / 1e6:.0f} MB must be pushed, and {self._cache} has {free_bytes / 1e6:.0f} MB free",
                remedy="Free some space there, or set `cache_dir` in devices.yaml to a roomier disk.",
            )

    def run_file(self, folder: Folder, name: str, words: Sequence[str], deadline: Deadline) -> Completed:
        """Run a Python file of a pushed folder to its end, with the standard library alone."""
        command = [self._python, "-I", "-S", f"{self._cache}/folders/{folder.digest}/{name}", *words]
        return self._transport.run(command, deadline)

    def start_duel(self) -> Process:
        """Start the process that times contestants in turns; it ends with the session."""
        return self._transport.start(self._command("duel", self._cache, *self._lease_word()), Deadline.after(READY_S))

    def _lease_word(self) -> tuple[str, ...]:
        return (self._lease,) if self._lease else ()

    def zygote(self, runtime: str, folder: Folder) -> Zygote:
        """Return the zygote of a runtime whose folder was pushed; start it if there is none.

        Raises:
            RunnerError: the runtime does not import on the device; the message carries its words.
        """
        key = (runtime, folder.digest)
        if key not in self._zygotes:
            command = self._command("zygote", self._cache, runtime, folder.digest, *self._lease_word())
            if self.counted:
                # Without -I, which would ignore PYTHONHASHSEED; the prefix empties the environment anyway.
                command.remove("-I")
                command = [*self._options.counted_prefix, *command]
            process = self._transport.start(command, Deadline.after(READY_S))
            try:
                read_reply(self.name, process, Deadline.after(READY_S))
            except RunnerError:
                process.kill()
                raise
            self._zygotes[key] = Zygote(self.name, process)
        return self._zygotes[key]

    def forget(self, runtime: str, folder: Folder) -> None:
        """End a runtime's zygote; the next job starts another."""
        zygote = self._zygotes.pop((runtime, folder.digest), None)
        if zygote:
            zygote.close()

    def close(self) -> None:
        """End everything on the device, give the lease up and disconnect."""
        self._closed.set()
        self._zygotes.clear()
        self._transport.close()


def parse_facts(device: str, found: dict[str, Any]) -> DeviceFacts:
    """Return the runner's facts as a record.

    Raises:
        RunnerError: they are not of the agreed form.
    """
    try:
        return DeviceFacts(
            **{
                **found,
                "glibc": tuple(found["glibc"]),
                "python": tuple(found["python"]),
                "cpu_features": tuple(found["cpu_features"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise RunnerError(device, f"its facts are not of the agreed form: {error!r}") from error


def _names(folders: Sequence[Folder], blobs: Iterable[Blob]) -> set[str]:
    """Return the digests of folders, of all in them, and of single blobs."""
    inside = {blob.digest for folder in folders for blob in folder.blobs}
    return inside | {folder.digest for folder in folders} | {blob.digest for blob in blobs}
