"""A job on its device: it checks itself and the device, tells how far it is, and goes on where it was stopped."""

import os
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest

from hwloop.carried import import_results
from hwloop.devices.carried.results_file import read_results
from hwloop.records import TimingProtocol
from hwloop.store import Store

from .conftest import QUICK, airgapped

MANY = TimingProtocol(processes=5, seconds=0.5, min_calls=5, relative_width=0.0, warmup_seconds=0.01)


def test_equal_jobs_are_equal_files(carry, tmp_path):
    device = airgapped(tmp_path)
    one, two = (carry(tmp_path / name, device=device) for name in ("one", "two"))
    assert one.archive.read_bytes() == two.archive.read_bytes()


def test_it_tells_how_far_it_is_and_what_to_do_then(done):
    assert "perceptron with tvm: process 1, median " in done.told
    assert "100 %" in done.told
    assert "hwloop results import job.results" in done.told
    assert not done.results.with_name("job.results.part").exists()


def test_help_has_its_options(done):
    told = done.run("--help")
    assert told.returncode == 0
    assert "--results FILE" in told.stdout


def test_results_that_are_whole_are_not_overwritten(done):
    before = done.results.read_bytes()
    again = done.run()
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert done.results.read_bytes() == before


def test_it_can_be_stopped_and_goes_on(carry, tmp_path):
    made = carry(tmp_path / "stopped", protocol=MANY)
    with subprocess.Popen(
        made.command(),
        cwd=made.folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        while "process 2" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in rest
    first = read_results(made.results.read_bytes())
    assert not first["finished"]
    with Store.open(made.store) as store:
        assert import_results(made.results, store).unfinished == ["perceptron with onnxruntime"]
        ended = made.run()
        assert ended.returncode == 0, ended.stderr
        assert "process 1," not in ended.stderr
        whole = read_results(made.results.read_bytes())
        assert whole["replies"][: len(first["replies"])] == first["replies"]
        assert import_results(made.results, store).new == 1


def test_a_runner_that_somebody_kills_is_started_anew(carry, tmp_path):
    made = carry(tmp_path / "killed", protocol=MANY)
    with subprocess.Popen(made.command(), cwd=made.folder, stderr=subprocess.PIPE, text=True) as process:
        while "process 1" not in process.stderr.readline():
            assert process.poll() is None
        os.kill(zygote_of(process.pid), signal.SIGKILL)
        _, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert "the runner broke, and is started anew" in rest
    assert read_results(made.results.read_bytes())["finished"]


def zygote_of(pid):
    """The process that forks those which are timed."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if b"zygote" in Path(f"/proc/{child}/cmdline").read_bytes())


def test_a_damaged_archive_is_refused(carry, tmp_path):
    made = carry(tmp_path / "damaged")
    document = made.document()
    with zipfile.ZipFile(made.archive) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    blob = next(name for name in document["files"] if name.startswith("blobs/"))
    files[blob] = files[blob][:-1] + bytes([files[blob][-1] ^ 1])
    with zipfile.ZipFile(made.archive, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    ended = made.run()
    assert ended.returncode == 2
    assert f"{blob} has other content" in ended.stderr


def test_a_device_that_it_was_not_built_for_is_told_why(carry, tmp_path):
    device = airgapped(tmp_path, features=("+rocket",))
    made = carry(tmp_path / "unsuited", device=device)
    ended = made.run()
    assert ended.returncode == 3
    assert "its CPU lacks rocket" in ended.stderr
    assert not made.results.exists()


@pytest.mark.parametrize(
    ("text", "words"), [('{"job": "other", "identity": "other"}\n', "another job"), ("no journal\n", "is damaged")]
)
def test_a_strange_journal_is_not_gone_on_with(carry, tmp_path, text, words):
    made = carry(tmp_path / "journal")
    made.results.with_name("job.results.part").write_text(text)
    ended = made.run()
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "--results" in ended.stderr


@pytest.mark.parametrize("torn", [b"", b'{"cell": 0, "ok": {"samp'])
def test_a_journal_whose_last_line_is_torn_is_gone_on_with(tmp_path, torn):
    from hwloop.devices.carried.journal import Journal

    path = str(tmp_path / "job.results.part")
    facts = {"identity": "board"}
    journal = Journal(path, "job", facts)
    journal.add(0, {"ok": {"samples_ns": [1]}, "job": 1})
    journal.file.write(torn)
    journal.close()
    again = Journal(path, "job", facts)
    assert list(again.of(0)) == [{"cell": 0, "ok": {"samples_ns": [1]}}]
    again.add(0, {"failure": {"kind": "crashed"}})
    again.close()
    third = Journal(path, "job", facts)
    third.close()
    assert len(list(third.of(0))) == 2


def test_the_protocol_travels_whole(done):
    assert TimingProtocol.from_json(done.document()["protocol"]) == QUICK
