"""What is timed on this host is alone on it."""

import os
import threading
import time

from hwloop.measure.quiet import OVERTAKING, Quiet

SOON_S = 0.2
LIMIT_S = 10


def hold(enter, seconds, log, name):
    """Enter, note it, stay for a while, note the end; in a thread."""

    def run():
        with enter():
            log.append(f"{name} begins")
            time.sleep(seconds)
            log.append(f"{name} ends")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def alternations(log):
    """How many were inside at once, at most."""
    inside = most = 0
    for entry in log:
        inside += 1 if entry.endswith("begins") else -1
        most = max(most, inside)
    return most


def test_timings_exclude_each_other():
    quiet, log = Quiet(), []
    threads = [hold(quiet.timing, 0.02, log, str(number)) for number in range(5)]
    for thread in threads:
        thread.join(LIMIT_S)
    assert alternations(log) == 1


def test_noise_may_be_many():
    quiet, log = Quiet(), []
    threads = [hold(quiet.noise, SOON_S, log, str(number)) for number in range(3)]
    for thread in threads:
        thread.join(LIMIT_S)
    assert alternations(log) == 3


def test_a_timing_waits_for_noise_and_keeps_new_noise_out():
    quiet, log = Quiet(), []
    noise = hold(quiet.noise, SOON_S, log, "noise")
    time.sleep(SOON_S / 4)
    timing = hold(quiet.timing, SOON_S, log, "timing")
    time.sleep(SOON_S / 4)
    late = hold(quiet.noise, 0, log, "late")
    for thread in (noise, timing, late):
        thread.join(LIMIT_S)
    assert log == ["noise begins", "noise ends", "timing begins", "timing ends", "late begins", "late ends"]


def test_no_more_compilers_run_at_once_than_there_are_processors():
    quiet, log = Quiet(), []
    processors = len(os.sched_getaffinity(0))
    threads = [hold(quiet.compiling, 0.02, log, str(number)) for number in range(3 * processors)]
    for thread in threads:
        thread.join(LIMIT_S)
    assert 1 <= alternations(log) <= processors


def test_a_compiler_waits_for_a_timing():
    quiet, log = Quiet(), []
    timing = hold(quiet.timing, 0.1, log, "timing")
    time.sleep(0.02)
    compiler = hold(quiet.compiling, 0.01, log, "compiler")
    for thread in (timing, compiler):
        thread.join(LIMIT_S)
    assert alternations(log) == 1


def test_a_compiler_may_join_one_that_a_timing_waits_for(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    quiet, log = Quiet(), []
    threads = [hold(quiet.compiling, SOON_S, log, "one")]
    time.sleep(SOON_S / 4)
    threads.append(hold(quiet.timing, 0, log, "timing"))
    time.sleep(SOON_S / 4)
    threads.append(hold(quiet.compiling, SOON_S, log, "other"))
    for thread in threads:
        thread.join(LIMIT_S)
    assert log == ["one begins", "other begins", "one ends", "other ends", "timing begins", "timing ends"]


def test_compilers_that_never_end_all_at_once_keep_a_timing_waiting_no_longer_than_a_few_of_them():
    quiet, log = Quiet(), []
    threads = [hold(quiet.compiling, SOON_S, log, "first")]
    time.sleep(SOON_S / 4)
    threads.append(hold(quiet.timing, 0, log, "timing"))
    time.sleep(SOON_S / 4)
    for number in range(3 * OVERTAKING):
        threads.append(hold(quiet.compiling, SOON_S / 2, log, str(number)))
        time.sleep(SOON_S / 8)
    for thread in threads:
        thread.join(LIMIT_S)
    before = log[: log.index("timing begins")]
    assert sum(entry.endswith("begins") for entry in before) <= 1 + OVERTAKING
