"""What a device is like: read from its /sys and /proc, None where there is nothing to read."""

import json
import os
import stat
import subprocess
import sys
import time

import pytest

from hwloop.devices.runner import evidence
from hwloop.devices.runner.watch import Watch

CPU0 = "cpu0 100 50 30 700 20 6 4 40 99 0"  # the last two are guests, who count as user already
CPU1 = "cpu1 200 0 100 500 0 0 0 0 0 0"


class Board:
    """A made-up board: files as the kernel of a Raspberry Pi shows them."""

    def __init__(self, folder):
        self.root = str(folder)

    def write(self, path, text):
        file = f"{self.root}/{path}"
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as out:
            out.write(f"{text}\n")

    def clock(self, mhz, cpu=0):
        self.write(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", mhz * 1000)

    def temperature(self, celsius, zone=0):
        self.write(f"sys/class/thermal/thermal_zone{zone}/temp", int(celsius * 1000))

    def throttled(self, bits):
        self.write("sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits:x}")

    def processors(self, *lines, running=1):
        self.write("proc/stat", "\n".join(["cpu  0 0 0 0", *lines, "ctxt 5", f"procs_running {running}"]))

    def waiting(self, thread, waited_ns):
        self.write(f"proc/self/task/{thread}/schedstat", f"1000 {waited_ns} 7")


@pytest.fixture
def board(tmp_path):
    return Board(tmp_path)


@pytest.fixture
def pi(board):
    board.clock(1500)
    board.clock(1500, cpu=1)
    board.temperature(45)
    board.throttled(0)
    board.processors(CPU0, CPU1)
    board.waiting(1, 0)
    return board


def seen(watch):
    found = watch.conditions()
    return found["clocks_mhz"], found["temperatures_c"], found["throttled"]


class TestEvidence:
    def test_of_a_board_that_says_nothing_is_none(self, board, monkeypatch):
        monkeypatch.setenv("PATH", board.root)
        found = evidence.evidence(board.root)
        for name in ("governor", "temperature_c", "throttled", "running", "busy_s", "idle_s"):
            assert found[name] is None
        assert found["frequencies_mhz"] == []

    def test_of_a_board(self, pi):
        policy = "sys/devices/system/cpu/cpufreq/policy0/"
        pi.write(policy + "scaling_governor", "ondemand")
        pi.write(policy + "scaling_cur_freq", 600000)
        pi.temperature(51.2, zone=1)
        pi.throttled(0x50005)
        pi.processors(CPU0, CPU1, running=3)
        found = evidence.evidence(pi.root + "/")
        assert (found["governor"], found["frequencies_mhz"], found["temperature_c"]) == ("ondemand", [600.0], 51.2)
        assert (found["throttled"], found["running"]) == (0x50005, 2)

    def test_of_this_machine(self):
        found = evidence.evidence()
        assert found["processors"] == len(os.sched_getaffinity(0))
        assert found["busy_s"] > 0 and found["idle_s"] >= 0 and found["running"] >= 0

    def test_a_zone_that_does_not_answer_is_left_out(self, pi):
        pi.write("sys/class/thermal/thermal_zone1/temp", "")
        assert evidence.hottest_c(evidence.thermal_zones(pi.root)) == 45.0

    def test_processor_time_is_busy_idle_and_stolen(self, pi):
        ticks = evidence.TICKS_PER_S
        assert evidence.processor_times([0], pi.root) == (230 / ticks, 720 / ticks)
        assert evidence.processor_times([0, 1], pi.root) == (530 / ticks, 1220 / ticks)
        assert evidence.processor_times([0, 9], pi.root) is None

    @pytest.mark.parametrize(
        ("says", "bits"),
        [("throttled=0x50005", 0x50005), ("throttled=0x0", 0), ("error=1 unregistered", None), ("", None)],
    )
    def test_a_raspberry_pi_without_the_kernel_s_file_is_asked_through_vcgencmd(self, board, monkeypatch, says, bits):
        command = board.root + "/bin/vcgencmd"
        board.write("bin/vcgencmd", f"#!/bin/sh\n[ $1 = get_throttled ] && echo '{says}'")
        os.chmod(command, stat.S_IRWXU)
        monkeypatch.setenv("PATH", board.root + "/bin:" + os.environ["PATH"])
        assert evidence.throttle_bits(board.root) == bits

    def test_a_vcgencmd_that_cannot_be_run_says_nothing(self, board, monkeypatch):
        board.write("bin/vcgencmd", "no program")
        os.chmod(board.root + "/bin/vcgencmd", stat.S_IRWXU)
        monkeypatch.setenv("PATH", board.root + "/bin")
        assert evidence.throttle_bits(board.root) is None


class TestWatch:
    def test_clock_and_temperature_are_noted_at_each_look(self, pi):
        watch = Watch([0], pi.root)
        watch.start()
        pi.clock(600)
        pi.temperature(52)
        watch.look()
        assert seen(watch) == ([1500.0, 600.0, 600.0], [45.0, 52.0, 52.0], 0)

    def test_a_processor_that_idles_between_calls_does_not_lower_the_clock(self, pi):
        watch = Watch([0, 1], pi.root)
        watch.start()
        pi.clock(600, cpu=1)
        assert seen(watch)[0] == [1500.0, 1500.0]

    def test_a_throttle_bit_that_is_set_for_a_moment_is_kept(self, pi):
        watch = Watch([0], pi.root)
        watch.start()
        pi.throttled(0x40004)
        watch.look()
        pi.throttled(0x40000)
        assert seen(watch)[2] == 0x40004

    def test_time_that_others_took_is_what_this_process_did_not_use(self, pi):
        watch = Watch([0], pi.root)
        watch.start()
        pi.processors(CPU0.replace("100 50", "600 50"))  # five seconds more
        pi.waiting(1, 250_000_000)
        pi.waiting(2, 50_000_000)
        found = watch.conditions()
        assert found["cpus"] == [0] and found["window_s"] > 0
        assert 4.0 < found["foreign_s"] <= 5.0
        assert found["waited_s"] == pytest.approx(0.3)

    def test_own_time_is_not_foreign(self):
        cpu = max(os.sched_getaffinity(0))
        watch = Watch([cpu])
        watch.start()
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        found = watch.conditions()
        assert found["foreign_s"] <= found["window_s"] - 0.25

    def test_a_board_that_says_nothing_gives_none(self, board):
        watch = Watch([0], board.root)
        watch.start()
        watch.look()
        found = watch.conditions()
        assert (found["clocks_mhz"], found["temperatures_c"]) == ([], [])
        assert [found[name] for name in ("throttled", "foreign_s", "waited_s")] == [None] * 3
        assert found["involuntary_switches"] >= 0

    def test_a_busy_neighbour_on_the_same_processor_is_seen(self):
        cpu = max(os.sched_getaffinity(0))
        script = (
            "import os, subprocess, sys, time, json\n"
            "from hwloop.devices.runner.watch import Watch\n"
            "os.sched_setaffinity(0, [int(sys.argv[1])])\n"
            "watch = Watch([int(sys.argv[1])]); watch.start(); end = time.process_time() + 0.4\n"
            "while time.process_time() < end: pass\n"
            "print(json.dumps(watch.conditions()))\n"
        )
        busy = subprocess.Popen(
            [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{cpu}])\nwhile True: pass"]
        )
        try:
            done = subprocess.run([sys.executable, "-c", script, str(cpu)], capture_output=True, check=True, timeout=60)
        finally:
            busy.kill()
            busy.wait()
        found = json.loads(done.stdout)
        assert found["foreign_s"] / found["window_s"] > 0.2
        assert found["waited_s"] is None or found["waited_s"] / found["window_s"] > 0.2
