"""A session on a real device (this machine): what is pushed, what runs, and how everything that fails is told."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile

import numpy as np
import pytest

from hwloop.deadline import Deadline
from hwloop.devices.folders import Blob, Folder
from hwloop.devices.jobs import job_request
from hwloop.devices.lease import Owner
from hwloop.devices.provision import provision
from hwloop.devices.session import DeviceSession, SessionOptions, Zygote
from hwloop.devices.transports.fake import FakeTransport, Faults
from hwloop.devices.transports.local import LocalTransport
from hwloop.digests import digest_file
from hwloop.errors import DeviceDiskFull, DeviceUnreachable, DeviceUnsuited, RunnerError
from hwloop.records import (
    Artifact,
    Failure,
    FailureKind,
    ProcessBudget,
    RuntimeNeeds,
    TensorSpec,
    TimingProtocol,
    WheelNeed,
)
from hwloop.testing.models import perceptron

SECONDS = 300
NEEDS = RuntimeNeeds("onnxruntime", (WheelNeed("onnxruntime"), WheelNeed("numpy")))


def soon():
    return Deadline.after(SECONDS)


def open_session(folder, transport=None, python=sys.executable):
    session = DeviceSession("box", transport or LocalTransport("box"), SessionOptions(python, str(folder / "cache")))
    try:
        session.open(soon())
    except BaseException:
        session.close()
        raise
    return session


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    session = open_session(tmp_path_factory.mktemp("device"))
    yield session
    session.close()


@pytest.fixture(scope="module")
def runtime(session):
    found = provision(NEEDS, "box", session.facts, soon(), print)
    session.push([found.folder], [], soon())
    return found


class Job:
    """A perceptron pushed to a session, with one input."""

    def __init__(self, session, folder, model=None):
        self.model = model or perceptron(folder / "mlp.onnx")
        self.values = np.random.default_rng(0).standard_normal((8, 64), dtype=np.float32)
        source = folder / "x.bin"
        source.write_bytes(self.values.tobytes())
        self.input = Blob(source, digest_file(source))
        digest = digest_file(self.model)
        self.folder = Folder({"model.onnx": Blob(self.model, digest)})
        self.artifact = Artifact(
            "onnxruntime", "1", digest, {"model.onnx": self.model}, {"model.onnx": digest}, "model.onnx",
            (TensorSpec("x", "float32", (8, 64)),), (TensorSpec("a1", "float32", (8, 32)),),
        )  # fmt: skip
        self.sent_bytes = session.push([self.folder], [self.input], soon())

    def request(self, budget=ProcessBudget(0.2, 10, 1000), known=(), **protocol):
        protocol = TimingProtocol(**{"warmup_seconds": 0.05, "process_deadline_s": 20.0, **protocol})
        digests = {"x": self.input.digest}
        return job_request(
            self.artifact, self.folder.digest, digests, protocol, budget, counted=False, known_outputs=known
        )


@pytest.fixture
def job(session, tmp_path):
    return Job(session, tmp_path)


def test_facts_describe_this_machine(session):
    assert session.facts.python == tuple(sys.version_info[:3])
    assert session.facts.machine == os.uname().machine
    assert session.facts.memory_bytes > 1 << 28
    assert session.facts.cores >= 1


def test_a_job_times_every_call_and_returns_the_outputs(session, runtime, job):
    result = session.zygote("onnxruntime", runtime.folder).run(job.request())
    assert not isinstance(result, Failure), result
    assert len(result.samples_ns) >= 10
    assert all(sample > 0 for sample in result.samples_ns)
    assert result.warmup_ns and result.peak_rss_bytes > 1 << 20
    output = np.frombuffer(result.outputs[0].data, np.float32).reshape(result.outputs[0].shape)
    assert output.shape == (8, 32) and np.isfinite(output).all()


@pytest.mark.parametrize(
    ("budget", "least", "most"),
    [
        (ProcessBudget(5.0, 20, 20), 20, 20),
        (ProcessBudget(0.0, 10, 1000), 1, 1),
        (ProcessBudget(0.05, 1, 10**6), 1, 10**6),
    ],
)
def test_the_budget_of_a_process_is_kept(session, runtime, job, budget, least, most):
    result = session.zygote("onnxruntime", runtime.folder).run(job.request(budget, relative_width=0.0))
    assert least <= len(result.samples_ns) <= most
    assert sum(result.samples_ns[:-1]) / 1e9 <= budget.seconds


def test_outputs_that_the_host_knows_are_not_sent_again(session, runtime, job):
    zygote = session.zygote("onnxruntime", runtime.folder)
    first = zygote.run(job.request())
    second = zygote.run(job.request(known=[first.outputs_digest]))
    assert second.outputs is None and second.outputs_digest == first.outputs_digest


def test_the_same_bytes_are_sent_once(session, tmp_path):
    model = perceptron(tmp_path / "once.onnx", seed=99)
    assert Job(session, tmp_path, model).sent_bytes > model.stat().st_size - 1
    assert Job(session, tmp_path, model).sent_bytes == 0


def test_a_model_that_does_not_load_is_a_failure_and_the_next_job_runs(session, runtime, job, tmp_path):
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"no model")
    zygote = session.zygote("onnxruntime", runtime.folder)
    failure = zygote.run(Job(session, tmp_path, garbage).request())
    assert failure.kind is FailureKind.LOAD
    assert not isinstance(zygote.run(job.request()), Failure)


def fake_runtime(session, tmp_path, body):
    """Push an `onnxruntime` whose sessions do what `body` says."""
    package = tmp_path / "fake.zip"
    code = f"""
    import ctypes, os, signal, sys, time
    class SessionOptions:
        pass
    class InferenceSession:
        def __init__(self, *args, **more):
            {body}
    """
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("onnxruntime.py", textwrap.dedent(code))
        archive.writestr("numpy.py", "")
    folder = Folder(archives=(Blob(package, digest_file(package)),))
    session.push([folder], [], soon())
    return folder


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("print('dying', file=sys.stderr, flush=True); ctypes.string_at(0)", FailureKind.CRASH, "SIGSEGV"),
        ("print('dying', file=sys.stderr, flush=True); os.abort()", FailureKind.CRASH, "SIGABRT"),
        ("print('dying', file=sys.stderr, flush=True); os._exit(5)", FailureKind.CRASH, "status 5"),
        ("print('dying', file=sys.stderr, flush=True); time.sleep(1000)", FailureKind.TIMEOUT, "deadline"),
        ("raise MemoryError(print('dying', file=sys.stderr, flush=True))", FailureKind.MEMORY, ""),
    ],
)
def test_a_runtime_that_dies_or_hangs_is_a_failure_that_keeps_its_stderr(session, job, tmp_path, body, kind, told):
    folder = fake_runtime(session, tmp_path, body)
    for _ in range(2):  # the zygote survives it
        failure = session.zygote("onnxruntime", folder).run(job.request(process_deadline_s=1.0))
        assert failure.kind is kind
        assert told in failure.message
        assert "dying" in failure.detail


def test_a_runtime_that_does_not_import_is_told_in_its_own_words(session, tmp_path):
    package = tmp_path / "broken.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("numpy.py", "raise ImportError('built for another world')")
    folder = Folder(archives=(Blob(package, digest_file(package)),))
    session.push([folder], [], soon())
    with pytest.raises(RunnerError, match="built for another world"):
        session.zygote("onnxruntime", folder)


def agent_refuses(session, op, **fields):
    with pytest.raises(RunnerError, match="refused"):
        session._agent.ask(op, soon(), **fields)


def test_a_push_that_arrives_damaged_is_refused(session, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"other bytes")
    with pytest.raises(RunnerError, match="damaged"):
        session.push([], [Blob(damaged, "0" * 64)], soon())


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "", "a//b", "a\0b"])
def test_names_that_lead_outside_are_refused(session, job, name):
    digest = job.input.digest
    agent_refuses(session, "assemble", folder="1" * 64, files={name: digest}, archives=[])
    assert not os.path.exists(f"{session.facts.cache_dir}/folders/{'1' * 64}")


@pytest.mark.parametrize("member", ["../escape", "/absolute"])
def test_archives_that_reach_outside_are_refused(session, tmp_path, member):
    package = tmp_path / "evil.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(member, "x")
    with pytest.raises(RunnerError, match="outside"):
        session.push([Folder(archives=(Blob(package, digest_file(package)),))], [], soon())


def test_archives_with_links_are_refused(session, tmp_path):
    package = tmp_path / "link.zip"
    with zipfile.ZipFile(package, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RunnerError, match="link"):
        session.push([Folder(archives=(Blob(package, digest_file(package)),))], [], soon())


def test_unknown_requests_and_digests_that_are_none_are_refused(session):
    agent_refuses(session, "format-disk")
    agent_refuses(session, "missing", blobs=["../../etc/passwd"], folders=[])
    assert session.facts.machine  # and it still answers
    session.evidence(soon())


def test_a_device_without_python_is_named_with_the_remedy(tmp_path):
    with pytest.raises(DeviceUnsuited, match="no python9") as told:
        open_session(tmp_path, python="python9")
    assert "python" in told.value.remedy


def test_a_device_with_an_old_python_is_named_with_its_version(tmp_path):
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\ncase "$1" in -c) echo 3.5; exit 1;; esac\necho "SyntaxError" >&2; exit 1\n')
    old.chmod(0o755)
    with pytest.raises(DeviceUnsuited, match=r"Python is 3\.5"):
        open_session(tmp_path, python=str(old))


def test_garbage_from_the_runner_is_no_answer(tmp_path):
    with pytest.raises(RunnerError, match="no JSON"):
        open_session(tmp_path, FakeTransport("box", Faults(garbage=b"%% noise")))


def test_a_lost_connection_is_a_device_error(tmp_path):
    with pytest.raises(DeviceUnreachable, match="lost"):
        open_session(tmp_path, FakeTransport("box", Faults(lost_after=2)))


def test_a_full_disk_is_told_before_or_while_pushing_and_leaves_nothing(tmp_path):
    transport = FakeTransport("box", Faults(disk_bytes=100_000))
    session = open_session(tmp_path, transport)
    big = tmp_path / "big"
    big.write_bytes(os.urandom(200_000))
    with pytest.raises(DeviceDiskFull):
        session.push([], [Blob(big, digest_file(big))], soon())
    assert os.listdir(f"{session.facts.cache_dir}/blobs") == []
    session.close()


class TestACacheWithALimit:
    """Ten files of 100 kB each are pushed, one after the other, where 300 kB may be kept."""

    @pytest.fixture
    def limited(self, tmp_path):
        options = SessionOptions(sys.executable, str(tmp_path / "cache"), cache_limit_bytes=300_000)
        session = DeviceSession("box", LocalTransport("box"), options)
        session.open(soon())
        session.lease(Owner.here("testing"), soon(), wait=True, told=print)
        yield session
        session.close()

    def pushed(self, session, folder, number):
        file = folder / f"file{number}"
        file.write_bytes(os.urandom(100_000))
        blob = Blob(file, digest_file(file))
        session.push([], [blob], soon())
        return blob

    def kept(self, session):
        return set(os.listdir(f"{session.facts.cache_dir}/blobs"))

    def test_what_is_released_makes_room_for_what_comes(self, limited, tmp_path):
        for number in range(10):
            last = self.pushed(limited, tmp_path, number)
            limited.release([], [last])
        assert last.digest in self.kept(limited)
        assert len(self.kept(limited)) <= 4  # the limit, and what was pushed since the last look

    def test_what_is_in_use_stays(self, limited, tmp_path):
        blobs = [self.pushed(limited, tmp_path, number) for number in range(10)]
        assert self.kept(limited) == {blob.digest for blob in blobs}

    def test_what_two_use_stays_until_both_release_it(self, limited, tmp_path):
        shared = self.pushed(limited, tmp_path, 0)
        limited.push([], [shared], soon())
        limited.release([], [shared])
        limited.trim(0)
        assert shared.digest in self.kept(limited)
        limited.release([], [shared])
        limited.trim(0)
        assert shared.digest not in self.kept(limited)


def test_nothing_outlives_a_host_that_is_killed(tmp_path, runtime):
    script = f"""
    import sys
    from pathlib import Path
    sys.path.insert(0, {str(os.path.dirname(__file__))!r})
    from test_session import Job, open_session, provision, NEEDS, soon, ProcessBudget
    folder = Path({str(tmp_path)!r})
    session = open_session(folder)
    found = provision(NEEDS, "box", session.facts, soon(), print)
    session.push([found.folder], [], soon())
    job = Job(session, folder)
    zygote = session.zygote("onnxruntime", found.folder)
    zygote.run(job.request(ProcessBudget(100.0, 10, 10**9), relative_width=0.0, process_deadline_s=200.0))
    """
    host = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    end = Deadline.after(30)
    while len(runners(tmp_path)) < 3 and not end.expired:  # agent, zygote and the process that times
        time.sleep(0.05)
    assert len(runners(tmp_path)) == 3
    host.send_signal(signal.SIGKILL)
    host.communicate(timeout=10)
    end = Deadline.after(10)
    while runners(tmp_path) and not end.expired:
        time.sleep(0.05)
    assert runners(tmp_path) == []


def runners(folder):
    """The processes that run the runner out of a cache below `folder`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read()
            with open(f"/proc/{pid}/stat") as file:
                state = file.read().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"{folder}/cache/runner-".encode() in words and state != "Z":
            found.append(int(pid))
    return found


class Answers:
    """A process that answers with the lines given, whatever it is asked."""

    def __init__(self, *answers):
        self.answers = [json.dumps(answer).encode() for answer in answers]

    def write(self, data, deadline):
        pass

    def read_line(self, deadline):
        return self.answers.pop(0)


def test_a_second_answer_of_an_earlier_job_is_not_taken_for_that_of_the_next():
    """A job that is killed just after its answer leaves a failure behind it."""
    late = {"failure": {"kind": "crashed", "message": "ended by SIGKILL", "detail": ""}, "job": 1}
    first = {"failure": {"kind": "timed out", "message": "first", "detail": ""}, "job": 1}
    second = {"failure": {"kind": "timed out", "message": "second", "detail": ""}, "job": 2}
    zygote = Zygote("box", Answers(first, late, second))
    assert zygote.run({"deadline_s": 1.0}).message == "first"
    assert zygote.run({"deadline_s": 1.0}).message == "second"
