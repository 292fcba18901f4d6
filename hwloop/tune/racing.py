"""Kernels timed on a device: the exporter's `Race`, by the runner that measures and compares models."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from hwloop.compare.judge import B, judge, set_difference
from hwloop.deadline import Deadline
from hwloop.devices.duel import Duel, Entrant, SetResult
from hwloop.devices.folders import Blob
from hwloop.devices.gates import Gate
from hwloop.devices.jobs import RawOutput, job_request
from hwloop.devices.provision import ProvisionedRuntime
from hwloop.devices.session import DeviceSession
from hwloop.errors import RunnerError
from hwloop.exporter.compare import compare, decode_outputs
from hwloop.exporter.tuning.kernels import Candidate
from hwloop.measure.cells import artifact_folder
from hwloop.records import Failure, FailureKind, ProcessBudget, TimingProtocol
from hwloop.records.comparison import ComparisonProtocol, ComparisonSet, Judgement

PUSH_S = 300.0
LOOK = ProcessBudget(seconds=0.1, min_calls=5, max_calls=2000)
LOOK_S, JUDGED_S, JUDGED_SETS = 0.15, 0.3, 12  # seconds a set
TURN_S, WARMUP_S = 0.005, 0.02


class DeviceRace:
    """Times kernels in one session, which holds the device's lease; `progressed` is called after each that ended.

    Inputs are written below `folder`. A process of a kernel may take `limit_s`.
    """

    def __init__(
        self,
        session: DeviceSession,
        runtime: ProvisionedRuntime,
        gate: Gate,
        folder: Path,
        threads: int,
        limit_s: float,
        progressed: Callable[[], None],
    ) -> None:
        self._session = session
        self._runtime = runtime
        self._gate = gate
        self._folder = folder
        self._threads = threads
        self._limit_s = limit_s
        self._progressed = progressed
        self._duel = Duel(session.name, session.start_duel())

    def close(self) -> None:
        """End what runs on the device."""
        self._duel.close()

    def time_ns(self, one: Candidate) -> float | Failure:
        """Return the median of some calls."""
        protocol = TimingProtocol(
            warmup_seconds=WARMUP_S, threads=self._threads, process_deadline_s=self._limit_s, relative_width=0.0
        )
        folder, digests = self._push(one)
        request = job_request(one.artifact, folder, digests, protocol, LOOK, counted=False, known_outputs=())
        self._gate.await_calm()
        result = self._session.zygote(one.artifact.runtime, self._runtime.folder).run(request)
        self._progressed()
        return result if isinstance(result, Failure) else float(statistics.median(result.samples_ns))

    def ratio(self, rule: Candidate, other: Candidate) -> float | Failure:
        """Return what one set shows; outputs that differ from the rule's are a failure."""
        found = self._set(rule, other, LOOK_S, 0)
        return found if isinstance(found, Failure) else math.exp(set_difference(found.rounds, B))

    def judge(self, rule: Candidate, other: Candidate) -> Judgement | Failure:
        """Return what a dozen sets show: a difference beyond their noise, or none."""
        sets = []
        for index in range(JUDGED_SETS):
            started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
            found = self._set(rule, other, JUDGED_S, index)
            if isinstance(found, Failure):
                return found
            sets.append(ComparisonSet(index, started_at, found.rounds, (True, True, True), found.before, found.after))
        return judge(sets, emulated=False)

    def _set(self, rule: Candidate, other: Candidate, seconds: float, seed: int) -> SetResult | Failure:
        protocol = ComparisonProtocol(
            turn_seconds=TURN_S, warmup_seconds=WARMUP_S, threads=self._threads, process_deadline_s=self._limit_s
        )
        entrants = [self._entrant(one) for one in (rule, other, rule)]
        self._gate.await_calm()
        found = self._duel.run(entrants, protocol, seconds, seed)
        self._progressed()
        if isinstance(found, Failure):
            if "SIGKILL" in found.message:
                raise RunnerError(self._session.name, found.message)  # perhaps chance: it is tried again
            return found
        outputs = [one.outputs for one in found.results]
        if not _alike(outputs[0], outputs[1]):
            return Failure(FailureKind.CRASH, "its outputs are not the rule's")
        return found

    def _entrant(self, one: Candidate) -> Entrant:
        folder, digests = self._push(one)
        return Entrant(one.artifact.runtime, self._runtime.folder.digest, one.artifact, folder, digests)

    def _push(self, one: Candidate) -> tuple[str, dict[str, str]]:
        """Bring a kernel and its arguments to the device; return the folder's digest and those of the arguments."""
        folder, digests = artifact_folder(one.artifact), one.arguments.digests
        paths = one.arguments.write(self._folder)
        blobs = [Blob(path, digests[name]) for name, path in paths.items()]
        self._session.push([self._runtime.folder, folder], blobs, Deadline.after(PUSH_S))
        return folder.digest, digests


def _alike(rule: Sequence[RawOutput] | None, other: Sequence[RawOutput] | None) -> bool:
    return rule is not None and other is not None and compare(decode_outputs(rule), decode_outputs(other)).match
