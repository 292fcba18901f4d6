"""Processes of a measuring run are killed at random points, and what is left is looked over."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hwloop.records import Verdict
from hwloop.store import Store
from hwloop.testing.models import perceptron

MODELS = 3
PROCESSES = 3
KILLS_A_ROUND = 8
KINDS = ("host", "agent", "zygote", "job")
LONGEST_PAUSE_S = 0.4
LONGEST_WAIT_S = 3.0
COMMAND_S = 120.0
GONE_S = 30.0
PROBE_NAME = re.compile("[a-z0-9_]{8}")


@dataclass
class Campaign:
    """What came of many kills; all lists but `kills` should be empty."""

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    measurements: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)
    longest_command_s: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, wrong or left behind."""
        return not (self.lost or self.wrong or self.remains)


def kill_campaign(
    folder: Path, settings: Mapping[str, object], kills: int, seed: int, environment: Mapping[str, str] | None = None
) -> Campaign:
    """Measure small models on one device again and again, and kill its processes until `kills` were killed.

    `settings` are the device's in devices.yaml; its cache must lie below `folder`, which is how its processes are
    found. Victims are drawn from the command itself, the agent, the zygotes and the processes that time.
    """
    draw, found = random.Random(seed), Campaign()
    models = [perceptron(folder / f"model{number}.onnx", [64, 64 + 32 * number, 32]) for number in range(MODELS)]
    fleet = folder / "devices.yaml"
    fleet.write_text(json.dumps({"devices": {"box": dict(settings)}}))  # JSON is YAML
    while found.kills.total() < kills:
        found.rounds += 1
        command = _Command(folder, models, found.rounds, {**os.environ, **(environment or {})})
        for _ in range(min(KILLS_A_ROUND, kills - found.kills.total())):
            if not command.runs:
                command.start()
            kind, pid = _victim(folder, command.pid, draw)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                found.kills[kind] += 1
        found.longest_command_s = max(found.longest_command_s, command.finish())
        _look_over(command, found)
    command.finish()  # what it finds in the store it does not measure; what was left behind goes
    found.remains += _remains(folder)
    return found


class _Command:
    """`hwloop measure` of all models, started again until it ends by itself."""

    def __init__(self, folder: Path, models: list[Path], number: int, environment: Mapping[str, str]) -> None:
        self.store = folder / f"store{number}.sqlite"
        self.log = folder / f"log{number}.txt"
        self._words = [
            *(sys.executable, "-m", "hwloop", "measure", *map(str, models), "--devices", str(folder / "devices.yaml")),
            *("-d", "box", "-r", "onnxruntime", "--seconds", "0.6", "--warmup", "0.02", "--width", "0"),
            *("--processes", str(PROCESSES), "--patience", "60", "--despite-quarantine", "--json"),
        ]
        (folder / "tmp").mkdir(exist_ok=True)
        self._environment = {**environment, "HWLOOP_STORE": str(self.store), "TMPDIR": str(folder / "tmp")}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Whether it runs just now."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._child
        return self._child.pid

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(self._words, stdout=log, stderr=log, env=self._environment)

    def finish(self) -> float:
        """Run it to its own end; return the seconds that took.

        Raises:
            RuntimeError: it does not end well, even where nobody kills it.
        """
        start = time.monotonic()
        while True:
            if not self.runs:
                self.start()
            assert self._child
            status = self._child.wait(COMMAND_S)
            if status == 0:
                return time.monotonic() - start
            if status != -signal.SIGKILL:
                words = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"hwloop measure ended with {status}:\n{words}")


def _victim(folder: Path, host: int, draw: random.Random) -> tuple[str, int]:
    """Return one of the drawn kind at a drawn moment; the command itself where none of it comes."""
    kind, end = draw.choice(KINDS), time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < end:
        time.sleep(draw.uniform(0.0, LONGEST_PAUSE_S))
        victims = [pid for found, pid in _processes(folder, host) if found == kind]
        if victims:
            return kind, draw.choice(victims)
    return "host", host


def _processes(folder: Path, host: int) -> Iterator[tuple[str, int]]:
    """Yield the kind and number of each process that a campaign may kill."""
    yield "host", host
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if not any(word.startswith(os.fsencode(f"{folder}/")) and b"runner-" in word for word in words):
                continue
            if b"agent" in words:
                yield "agent", int(path.name)
            elif b"zygote" in words:
                above = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
                yield ("job" if above == words else "zygote"), int(path.name)
        except OSError:
            continue  # it ended meanwhile


def _look_over(command: _Command, found: Campaign) -> None:
    """Check that a round's store has every model once, whole and right."""
    with Store.open(command.store) as store:
        measured = store.query(with_runs=True)
    found.measurements += len(measured)
    names = sorted(one.subject.model for one in measured)
    if names != [f"model{number}" for number in range(MODELS)]:
        found.lost.append(f"{command.store.name}: {names}")
    for one in measured:
        name = f"{command.store.name}: {one.subject.model}"
        indexes = [run.index for run in one.runs]
        starts = {run.started_at for run in one.runs}
        whole = indexes == list(range(len(indexes))) and len(starts) == len(indexes) >= PROCESSES
        samples = sum(len(run.samples_ns) for run in one.runs)
        if one.verdict is Verdict.FAILED or not whole or one.summary.samples != samples:
            found.wrong.append(f"{name}: {one.verdict.value} {one.reasons} {indexes}")
        if not all(run.outputs_match for run in one.runs):
            found.wrong.append(f"{name}: wrong outputs")


def _remains(folder: Path) -> list[str]:
    """Return what is left of processes and half-made files."""
    end = time.monotonic() + GONE_S
    while (left := [kind for kind, _ in _processes(folder, 0) if kind != "host"]) and time.monotonic() < end:
        time.sleep(0.1)
    files = [str(path) for name in ("incoming", "") for path in (folder / "device" / name).glob("*.part.*")]
    files += [str(path) for path in (folder / "device" / "incoming").glob("*")]
    files += [str(path) for path in (folder / "tmp").glob("*") if not is_pythons_probe(path)]
    return [*left, *files]


def is_pythons_probe(path: Path) -> bool:
    """Whether it is the file with which Python's tempfile tries a folder, before any program can know of it."""
    return bool(PROBE_NAME.fullmatch(path.name)) and path.is_file() and path.read_bytes() in (b"", b"blat")
