"""Tasks in forks: what happens to one happens to no other."""

import os
import signal
import time

from hwloop.exporter.runtimes.tvm_forks import in_forks


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
    assert not os.path.exists(f"/proc/{note.read_text()}")


def test_no_tasks_are_no_trouble():
    assert in_forks([], 1) == []
