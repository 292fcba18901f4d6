"""A comparison as it runs: both contestants and a control on one device, set after set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hwloop.compare.contenders import AnyContender, Ready
from hwloop.compare.judge import judge
from hwloop.deadline import Deadline
from hwloop.devices.duel import Duel, Entrant, EntrantResult
from hwloop.devices.fleet import Device
from hwloop.devices.jobs import ONE_CALL, JobResult, job_request
from hwloop.devices.provision import ProvisionedRuntime, provision
from hwloop.devices.session import DeviceSession
from hwloop.errors import DeviceUnsuited, RunnerError, UsageError
from hwloop.measure.cells import artifact_folder
from hwloop.measure.target import suited_target
from hwloop.records import Failure, Target, TimingProtocol
from hwloop.records.comparison import Comparison, ComparisonProtocol, ComparisonSet, Match, Turn
from hwloop.store.comparisons import Comparisons

FETCH_S = 1200.0
PUSH_S = 900.0
LEAST_SET_S = 0.05
START_AGAIN = "Start the command again to compare on that one."

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Placed:
    """A contender that stands on the device, ready to be run."""

    ready: Ready
    runtime: ProvisionedRuntime


class ComparisonRun:
    """One comparison; a session that is lost costs the set that was being measured, no more.

    Call `measure` with an open session, again and again until it returns.
    """

    def __init__(
        self,
        contenders: Sequence[AnyContender],
        device: Device,
        protocol: ComparisonProtocol,
        comparisons: Comparisons,
        folder: Path,
        say: Say,
        progressed: Callable[[int, int], None],
    ) -> None:
        self._contenders = contenders
        self._device = device
        self._protocol = replace(protocol, threads=device.settings.threads or protocol.threads)
        self._comparisons = comparisons
        self._folder = folder
        self._say = say
        self._progressed = progressed
        self._checked: dict[tuple[int, str], bool | None] = {}
        self._id = ""
        self._match: Match | None = None
        self._sets: list[ComparisonSet] = []

    def measure(self, session: DeviceSession) -> Comparison:
        """Measure what is missing and return the finished comparison.

        Raises:
            UsageError: a contender cannot be built, or fails on the device.
            InfrastructureError: the device failed.
        """
        placed = self._place(session)
        match = Match(
            placed[0].ready.contender,
            placed[1].ready.contender,
            self._device.name,
            session.facts.identity,
            self._device.emulated,
            asdict(self._protocol),
        )
        if self._match not in (None, match):
            raise DeviceUnsuited(self._device.name, "another board answers at its address now", remedy=START_AGAIN)
        self._match = match
        if not self._id:
            self._id, self._sets = self._comparisons.resume(match)
            if self._sets:
                self._say(f"Going on after {len(self._sets)} sets of an unfinished comparison.")
        for one in self._counted_sets(session, placed) if self._device.emulated else self._timed_sets(session, placed):
            self._comparisons.add_set(self._id, one)
            self._sets.append(one)
            self._progressed(len(self._sets), self._protocol.sets)
        return self._comparisons.finish(self._id, judge(self._sets, emulated=self._device.emulated))

    def _place(self, session: DeviceSession) -> list[_Placed]:
        target = suited_target(self._device, session.facts)
        return [self._place_one(session, contender, target) for contender in self._contenders]

    def _place_one(self, session: DeviceSession, contender: AnyContender, target: Target) -> _Placed:
        deadline = Deadline.after(FETCH_S)
        runtime = provision(contender.needs(), self._device.name, session.facts, deadline, self._say)
        ready = contender.ready(target, runtime.version, self._folder)
        folders = [runtime.folder, artifact_folder(ready.artifact)]
        session.push(folders, ready.inputs.values(), Deadline.after(PUSH_S))
        return _Placed(ready, runtime)

    # ── timed sets ──

    def _timed_sets(self, session: DeviceSession, placed: Sequence[_Placed]) -> Iterator[ComparisonSet]:
        duel = Duel(self._device.name, session.start_duel())
        protocol, overheads = self._protocol, [0.0]
        share = 1 - len(self._sets) / protocol.sets
        end = time.monotonic() + protocol.seconds * share
        try:
            while len(self._sets) < protocol.sets:
                index = len(self._sets)
                started_at, start = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
                wall_s = (end - start) / (protocol.sets - index)
                seconds = max(LEAST_SET_S, wall_s - max(overheads))
                entrants = [self._entrant(placed[side], side) for side in (0, 1, 0)]
                result = duel.run(entrants, protocol, seconds, protocol.seed + index)
                if isinstance(result, Failure) and "SIGKILL" in result.message:
                    raise RunnerError(self._device.name, result.message)  # perhaps chance: it is tried again
                if isinstance(result, Failure):
                    raise UsageError(f"{result.message} ({result.kind.value})", remedy=result.detail)
                overheads = [*overheads[-2:], time.monotonic() - start - seconds]
                matches = tuple(
                    self._check(side, placed[side], one) for side, one in zip((0, 1, 0), result.results, strict=True)
                )
                yield ComparisonSet(index, started_at, result.rounds, matches, result.before, result.after)
        finally:
            duel.close()

    def _entrant(self, placed: _Placed, side: int) -> Entrant:
        ready = placed.ready
        return Entrant(
            ready.artifact.runtime,
            placed.runtime.folder.digest,
            ready.artifact,
            artifact_folder(ready.artifact).digest,
            {name: blob.digest for name, blob in ready.inputs.items()},
            tuple(digest for known, digest in self._checked if known == side),
        )

    def _check(self, side: int, placed: _Placed, result: EntrantResult | JobResult) -> bool | None:
        key = (side, result.outputs_digest)
        if key not in self._checked:
            self._checked[key] = placed.ready.check(result.outputs_digest, result.outputs)
        return self._checked[key]

    # ── counted sets, on an emulated device ──

    def _counted_sets(self, session: DeviceSession, placed: Sequence[_Placed]) -> Iterator[ComparisonSet]:
        while len(self._sets) < self._protocol.sets:
            index, started_at = len(self._sets), datetime.now(UTC).isoformat(timespec="milliseconds")
            results = [self._count(session, placed[side]) for side in (0, 1, 0)]
            turns = tuple(Turn(number, result.instructions) for number, result in enumerate(results))
            matches = tuple(
                self._check(side, placed[side], result) for side, result in zip((0, 1, 0), results, strict=True)
            )
            yield ComparisonSet(index, started_at, (turns,), matches, results[0].before, results[-1].after)

    def _count(self, session: DeviceSession, placed: _Placed) -> JobResult:
        protocol, ready = self._protocol, placed.ready
        timing = TimingProtocol(
            warmup_seconds=protocol.warmup_seconds,
            threads=protocol.threads,
            counted_calls=protocol.counted_calls,
            process_deadline_s=protocol.process_deadline_s,
        )
        digests = {name: blob.digest for name, blob in ready.inputs.items()}
        folder = artifact_folder(ready.artifact).digest
        request = job_request(ready.artifact, folder, digests, timing, ONE_CALL, counted=True, known_outputs=())
        result = session.zygote(ready.artifact.runtime, placed.runtime.folder).run(request)
        if isinstance(result, Failure):
            raise UsageError(f"{ready.contender.model}: {result.message} ({result.kind.value})", remedy=result.detail)
        return result
