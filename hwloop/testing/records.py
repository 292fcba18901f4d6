"""Records for tests: builders with plain defaults, and hypothesis strategies (they need hypothesis)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from hwloop.digests import digest_json
from hwloop.records import Conditions, Evidence, Failure, FailureKind, ProcessRun, Subject, TimingProtocol

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

MS = 1_000_000  # nanoseconds

CALM = Conditions((3,), 1.0, (1500.0, 1500.0, 1500.0), (50.5, 51.0, 52.0), 0, 0.004, 0.001, 3)
QUICK = TimingProtocol(processes=2, seconds=0.1, min_calls=10, warmup_seconds=0.01)


def a_subject(**changes: object) -> Subject:
    """Return a subject: magika on `local` with onnxruntime, but for `changes`."""
    plain = Subject(
        model="magika",
        model_digest=digest_json("magika"),
        artifact_digest=digest_json(["magika", "onnxruntime"]),
        artifact_bytes=3_100_000,
        inputs_digest=digest_json("inputs"),
        device="local",
        device_identity="board-1",
        runtime="onnxruntime",
        runtime_version="1.23.2",
        threads=1,
        batch=1,
        emulated=False,
        protocol=asdict(TimingProtocol()),
    )
    if "model" in changes:  # another name is another model, unless the digest is given too
        digest = digest_json(changes["model"])
        plain = replace(plain, model_digest=digest, artifact_digest=digest)
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_run(index: int = 0, samples_ms: Sequence[float] = (5.0,) * 30, **changes: object) -> ProcessRun:
    """Return a run whose timed calls took `samples_ms`, steady and with the right outputs."""
    plain = ProcessRun(
        index=index,
        started_at="2026-01-01T12:00:00.000+00:00",
        samples_ns=tuple(round(sample * MS) for sample in samples_ms),
        warmup_ns=(9 * MS, 6 * MS, 5 * MS),
        steady=True,
        instructions=(),
        peak_rss_bytes=80_000_000,
        load_ms=12.5,
        outputs_digest=digest_json("outputs"),
        output_max_abs_err=1e-6,
        outputs_match=True,
        before=Evidence("performance", (1500.0, 1500.0), 48.5, 0, 0.1, 2 << 30),
        after=Evidence("performance", (1500.0, 1500.0), 52.0, 0, 0.9, 2 << 30),
        during=CALM,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_counted_run(index: int = 0, instructions: Sequence[int] = (70_100_347,) * 3) -> ProcessRun:
    """Return a run of an emulated device: instructions, and no times."""
    counted = tuple(instructions)
    return a_run(index, samples_ms=(), warmup_ns=(), instructions=counted, peak_rss_bytes=None)


def a_failure(**changes: object) -> Failure:
    """Return the failure of a model with an operator that the runtime lacks."""
    plain = Failure(FailureKind.UNSUPPORTED, "TVM has no operator LSTM", "OpNotImplemented: LSTM")
    return replace(plain, **changes)  # type: ignore[arg-type]


def subjects() -> SearchStrategy[Subject]:
    """Return a hypothesis strategy of subjects with any names, sizes and protocols."""
    from hypothesis import strategies as st

    text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
    sizes = st.integers(0, 2**62)
    values = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text
    )
    return st.builds(
        Subject,
        **{name: text for name in ("model", "model_digest", "artifact_digest", "inputs_digest", "device")},
        **{name: text for name in ("device_identity", "runtime", "runtime_version")},
        artifact_bytes=sizes,
        threads=st.integers(1, 64),
        batch=st.integers(1, 64),
        emulated=st.booleans(),
        protocol=st.dictionaries(text, values, max_size=4),
    )


def process_runs(index: int = 0) -> SearchStrategy[ProcessRun]:
    """Return a hypothesis strategy of runs with any times, counts and evidence."""
    from hypothesis import strategies as st

    times = st.lists(st.integers(0, 2**63 - 1), max_size=20).map(tuple)
    finite = st.floats(0, 1e12)
    evidence = st.builds(
        Evidence,
        governor=st.none() | st.text(max_size=8),
        frequencies_mhz=st.lists(finite, max_size=4).map(tuple),
        temperature_c=st.none() | finite,
        throttled=st.none() | st.integers(0, 2**20),
        load_1min=st.none() | finite,
        memory_available_bytes=st.none() | st.integers(0, 2**50),
        running=st.none() | st.integers(0, 2**20),
        processors=st.none() | st.integers(1, 2**10),
        busy_s=st.none() | finite,
        idle_s=st.none() | finite,
    )
    return st.builds(
        ProcessRun,
        index=st.just(index),
        started_at=st.just("2026-01-01T12:00:00.000+00:00"),
        samples_ns=times,
        warmup_ns=times,
        instructions=times,
        steady=st.booleans(),
        peak_rss_bytes=st.none() | st.integers(0, 2**50),
        load_ms=finite,
        outputs_digest=st.text("0123456789abcdef", max_size=64),
        output_max_abs_err=st.none() | finite | st.just(float("inf")),
        outputs_match=st.none() | st.booleans(),
        before=evidence,
        after=evidence,
        during=conditions(),
    )


def conditions() -> SearchStrategy[Conditions]:
    """Return a hypothesis strategy of conditions, calm and not, as they may come from a runner."""
    from hypothesis import strategies as st

    shares = st.none() | st.floats(0, 2)
    return st.just(Conditions()) | st.builds(
        Conditions,
        cpus=st.lists(st.integers(0, 63), min_size=1, max_size=4, unique=True).map(tuple),
        window_s=st.floats(0.01, 100),
        clocks_mhz=st.lists(st.floats(100, 6000), max_size=4).map(tuple),
        temperatures_c=st.lists(st.floats(-20, 120), max_size=4).map(tuple),
        throttled=st.none() | st.integers(0, 2**20),
        foreign_s=shares,
        waited_s=shares,
        involuntary_switches=st.none() | st.integers(0, 1000),
        full_speed_ns=st.none() | st.integers(1, 10**9),
        set_aside=st.none() | st.integers(0, 1000),
    )
