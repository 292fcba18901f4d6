"""Folders for a while leave nothing behind, however their process ends."""

import os
import signal
import subprocess
import sys

from hwloop.scratch import scratch_folder

HOLD = """
import sys, time
from pathlib import Path
from hwloop.scratch import scratch_folder
with scratch_folder("held", Path(sys.argv[1])) as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def folders(root):
    return [path.name for path in root.iterdir() if path.is_dir()]


def test_a_folder_is_empty_and_gone_when_it_is_left(tmp_path):
    with scratch_folder("work", tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("x")
    assert folders(tmp_path) == []


def test_it_is_gone_after_an_error_too(tmp_path):
    try:
        with scratch_folder("work", tmp_path):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert folders(tmp_path) == []


def test_one_in_use_stays_and_one_of_a_killed_process_goes_with_the_next(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        held = holder.stdout.readline().strip()
        with scratch_folder("work", tmp_path):
            assert os.path.exists(held)
        os.kill(holder.pid, signal.SIGKILL)
    with scratch_folder("work", tmp_path):
        assert not os.path.exists(held)
    assert folders(tmp_path) == []
