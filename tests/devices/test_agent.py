"""The agent on a device: whatever it hears, it answers and lives; when its host is gone, it is gone."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwloop.deadline import Deadline
from hwloop.devices.runner_file import runner_file
from hwloop.devices.session import DeviceSession, SessionOptions
from hwloop.devices.transports.local import LocalTransport
from hwloop.errors import DeviceUnsuited

LIMIT_S = 60


class Agent:
    """A real agent, spoken to over its pipes."""

    def __init__(self, folder, patch="pass"):
        self.cache = folder / "cache"
        start = (
            f"import sys; sys.path.insert(0, sys.argv[1]); {patch}; from runner.main import main; main(sys.argv[2:])"
        )
        command = [sys.executable, "-I", "-S", "-c", start, str(runner_file()), "agent", str(self.cache)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    def say(self, line):
        """Send a line and return the answer to it."""
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, op, **fields):
        return self.say(json.dumps({"op": op, **fields}).encode())

    def end(self):
        """Hang up, as a host that is gone does; return what it said on standard error."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        words = self.process.stderr.read().decode()
        self.process.wait(LIMIT_S)
        self.process.stdout.close()
        self.process.stderr.close()
        return words


@pytest.fixture
def agent(tmp_path):
    agent = Agent(tmp_path)
    yield agent
    assert agent.end() == ""
    assert agent.process.returncode == 0


def alive(agent):
    return agent.ask("beat") == {"ok": {}}


digests = st.sampled_from(["0" * 64, "a" * 63, "../../etc/passwd", ""])
names = st.sampled_from(["a", "../a", "/etc/passwd", "a/../../b", "", ".", "a\0b", "\ud800", "x" * 5000])
requests = st.one_of(
    st.fixed_dictionaries({"op": st.just("missing"), "blobs": st.lists(digests), "folders": st.lists(digests)}),
    st.fixed_dictionaries({"op": st.just("adopt"), "files": st.dictionaries(digests, names)}),
    st.fixed_dictionaries(
        {
            "op": st.just("assemble"),
            "folder": digests,
            "files": st.dictionaries(names, digests),
            "archives": st.lists(digests),
        }
    ),
    st.fixed_dictionaries({"op": st.text(max_size=8) | st.sampled_from(["__init__", "serve", "job", "turns", "set"])}),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(requests.map(json.dumps).map(str.encode) | st.binary(max_size=300).map(lambda line: line.replace(b"\n", b"")))
def test_whatever_comes_it_answers_and_lives(agent, line):
    assert agent.say(line).keys() <= {"ok", "error"}
    assert alive(agent)
    assert not [name for name in os.listdir(agent.cache / "folders") if len(name) != 64]


@pytest.mark.parametrize(
    "line",
    [b"[" * 200_000, b'{"op":' * 50_000, b"1" * 100_000, b'{"op": "beat"' + b" " * (9 << 20) + b"}"],
    ids=["deep list", "deep object", "long number", "long line"],
)
def test_lines_beyond_all_measure_are_refused(agent, line):
    assert agent.say(line)["error"]["kind"] == "refused"
    assert alive(agent)


@pytest.mark.parametrize("op", ["job", "turns", "turn", "end", "set", "format-disk"])
def test_it_takes_no_work_that_is_not_an_agents(agent, op):
    assert agent.ask(op)["error"]["kind"] == "refused"


def test_the_cache_is_trimmed_by_the_leases_holder_only(agent):
    assert "lease" in agent.ask("trim", limit_bytes=0, keep=[])["error"]["message"]


def test_it_ends_when_nobody_takes_its_answers(tmp_path):
    agent = Agent(tmp_path, "import runner.agent as agent; agent.EXPIRES_S = 0.5")
    blobs = [f"{number:064x}" for number in range(20_000)]
    agent.process.stdin.write(json.dumps({"op": "missing", "blobs": blobs, "folders": []}).encode() + b"\n")
    agent.process.stdin.flush()
    assert agent.process.wait(LIMIT_S) == 1
    assert "does not listen" in agent.end()


def test_a_folder_that_others_may_write_to_is_refused_before_anything_there_is_run(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    (cache / runner_file().name).write_text("print('theirs')")
    session = DeviceSession("box", LocalTransport("box"), SessionOptions(sys.executable, str(cache)))
    try:
        with pytest.raises(DeviceUnsuited, match="writable by others") as told:
            session.open(Deadline.after(LIMIT_S))
    finally:
        session.close()
    assert "chmod go-w" in told.value.remedy
    assert os.listdir(cache) == [runner_file().name]
