"""Tasks in forks: what happens to one happens to no other."""

import os
import signal
import subprocess
import sys
import time

from hwloop.exporter.runtimes.tvm_forks import in_forks
from hwloop.testing.waiting import alive, until


def fail():
    raise ValueError("no such tile")


def test_each_task_runs_apart_and_says_what_is_wrong(tmp_path):
    def write(name):
        return lambda: (tmp_path / name).write_text("done")

    wrong = in_forks([write("a"), fail, lambda: os.kill(os.getpid(), signal.SIGKILL), write("b")], 30, at_once=2)
    assert wrong == ["", "ValueError: no such tile", "its compiler ended with signal 9", ""]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_one_that_hangs_is_killed_with_what_it_started(tmp_path):
    note = tmp_path / "pid"

    def hang():
        note.write_text(str(os.getpid()))
        time.sleep(60)

    wrong = in_forks([hang, lambda: None], 0.5, at_once=2)
    assert wrong == ["it did not build within 0.5 s", ""]
    assert not alive(int(note.read_text()))


def test_no_tasks_are_no_trouble():
    assert in_forks([], 1) == []


def test_forks_end_with_the_process_that_started_them(tmp_path):
    note = tmp_path / "pid"
    script = f"""
import os, time
from hwloop.exporter.runtimes.tvm_forks import in_forks
def hang():
    open({str(note)!r}, "w").write(str(os.getpid()))
    time.sleep(60)
in_forks([hang], 60)
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    assert until(lambda: note.exists() and note.read_text() != "")
    process.kill()
    process.wait()
    assert until(lambda: not alive(int(note.read_text())))
