"""`hwloop results` lists, filters, shows one in full and writes files; JSON alone on stdout."""

import csv
import json
import re
import sys

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from hwloop.cli.results import app
from hwloop.errors import StoreError, UsageError
from hwloop.records import Limits, TimingProtocol, Verdict
from hwloop.stats import summarise
from hwloop.store import Store
from hwloop.testing.records import a_counted_run, a_failure, a_run, a_subject
from hwloop.verdict import verdict_of


@pytest.fixture
def path(tmp_path, monkeypatch):
    file = tmp_path / "measurements.sqlite"
    monkeypatch.setenv("HWLOOP_STORE", str(file))
    return file


@pytest.fixture
def filled(path):
    """Store magika on three devices, one INVALID, and silero-vad that failed; return the ids by device."""
    ids = {}
    with Store.open(path) as store:
        for device, emulated in (("local", False), ("pi4", False), ("rpi4-emulated", True)):
            runs = [a_counted_run(n) if emulated else a_run(n, steady=device != "pi4") for n in range(3)]
            summary = summarise(runs, emulated)
            ids[device] = store.begin(a_subject(device=device, emulated=emulated))
            for run in runs:
                store.add_run(ids[device], run)
            verdict = verdict_of(runs, summary, TimingProtocol(), Limits(), emulated=emulated)
            store.finish(ids[device], *verdict, summary, limits=Limits())
        failed = store.add_failure(a_subject(model="silero-vad", runtime="tvm"), a_failure())
        ids["failed"] = failed.id
    return ids


def run(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def read_csv(file):
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def listed(*arguments):
    return json.loads(run("--json", *arguments).stdout)


def test_the_table_shows_every_measurement_and_explains_what_is_not_valid(filled):
    text = run().stdout
    assert len(re.findall("magika", text.split("INVALID magika")[0])) == 3
    assert "5.000 ±0.000" in text and "70.10 M" in text
    assert re.search(r"1 FAILED silero-vad on local with tvm: unsupported operator: TVM has no operator LSTM", text)
    assert re.search(r"2 INVALID magika on pi4 with onnxruntime: not steady: times still moved", text)
    assert filled["local"][:12] in text


def test_json_is_the_list_that_measure_prints(filled):
    items = listed()
    assert [item["measurement_id"] for item in items] == sorted(filled.values(), reverse=True)
    by_device = {item["device"]: item for item in items if item["verdict"] != "FAILED"}
    assert by_device["local"]["median_ms"] == 5.0
    assert by_device["rpi4-emulated"]["median_ms"] is None
    assert by_device["rpi4-emulated"]["insns_per_call"] == 70_100_347


def test_json_has_null_for_an_error_without_bounds(path):
    with Store.open(path) as store:
        runs = [a_run(output_max_abs_err=float("inf"), outputs_match=False)]
        measurement_id = store.begin(a_subject())
        store.add_run(measurement_id, runs[0])
        store.finish(measurement_id, Verdict.INVALID, ("outputs differ",), summarise(runs, False))
    assert listed()[0]["output_max_abs_err"] is None
    assert "infinite" in run().stdout


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["-d", "local"], {"local", "failed"}),
        (["-d", "local", "-d", "pi4"], {"local", "pi4", "failed"}),
        (["-r", "tvm"], {"failed"}),
        (["-m", "mag*"], {"local", "pi4", "rpi4-emulated"}),
        (["--verdict", "invalid"], {"pi4"}),
        (["--verdict", "VALID", "-d", "rpi4-emulated"], {"rpi4-emulated"}),
        (["--since", "1h"], {"local", "pi4", "rpi4-emulated", "failed"}),
        (["--since", "2999-01-01"], set()),
        (["--until", "2020-01-01T12:00"], set()),
        (["--limit", "1"], {"failed"}),
    ],
)
def test_filters(filled, arguments, found):
    assert {item["measurement_id"] for item in listed(*arguments)} == {filled[name] for name in found}


def test_what_was_measured_again_is_shown_with_all(path):
    with Store.open(path) as store:
        for _ in range(2):
            store.add_failure(a_subject(), a_failure())
    assert (len(listed()), len(listed("--all"))) == (1, 2)


def test_a_long_table_is_cut_and_says_so(path):
    with Store.open(path) as store:
        for number in range(53):
            store.add_failure(a_subject(model=f"net-{number:02d}"), a_failure())
    result = run()
    assert "net-52" in result.stdout and "net-02 " not in result.stdout
    assert "--limit" in result.stderr
    assert "net-02 " in run("--limit", "53").stdout
    assert len(listed()) == 53


def test_nothing_measured_is_an_empty_list_and_a_hint(path):
    result = run()
    assert result.stdout == "" and "hwloop measure" in result.stderr
    assert listed() == []


def test_each_process_is_shown_with_its_own_verdict(filled):
    text = run("show", filled["pi4"]).stdout
    assert len(re.findall(r"^ +[012] +INVALID", text, re.MULTILINE)) == 3
    assert "process 1: not steady: times still moved after 0.5 s of warm-up" in text
    assert "process 0" not in run("show", filled["local"]).stdout


def test_each_process_has_its_verdict_in_json_too(filled):
    found = json.loads(run("show", filled["pi4"], "--json").stdout)
    assert {one["verdict"] for one in found["runs"]} == {"INVALID"}
    assert found["runs"][0]["reasons"] == ["not steady: times still moved after 0.5 s of warm-up"]
    assert found["runs"][0]["during"]["cpus"] == [3]
    assert found["limits"]["foreign_load"] == 0.05


def test_a_percentile_that_is_not_claimed_says_why(filled):
    text = run("show", filled["local"]).stdout
    assert re.search(r"p90 +5.000 ms, at most 5.000", text)
    assert re.search(r"p99 +not claimed: 90 calls are too few, it needs 662", text)


def test_one_is_shown_in_full(filled):
    text = run("show", filled["local"][:12]).stdout
    assert "VALID  magika on local with onnxruntime 1.23.2" in text
    assert "performance" in text and "50.5…52.0" in text
    assert re.search(r"5\.000 ms +█+ 90", text)
    assert filled["local"] in text


def test_an_emulated_one_is_shown_in_full_without_a_time(filled):
    text = run("show", filled["rpi4-emulated"]).stdout
    assert "70,100,347 a call" in text
    assert "median ms" not in text


def test_a_failure_is_shown_with_its_detail(filled):
    assert "OpNotImplemented: LSTM" in run("show", filled["failed"]).stdout


def test_one_as_json_has_its_runs(filled):
    item = json.loads(run("show", "--json", filled["local"]).stdout)
    assert len(item["runs"]) == 3
    assert item["runs"][0]["samples_ns"] == [5_000_000] * 30
    assert item["runs"][0]["before"]["governor"] == "performance"
    assert item["subject"]["protocol"]["processes"] == 3


def test_csv_has_a_row_each(filled, tmp_path):
    result = run("--csv", str(tmp_path / "out.csv"), "-m", "magika")
    rows = read_csv(tmp_path / "out.csv")
    assert {row["device"]: row["median_ms"] for row in rows} == {
        "local": "5.0",
        "pi4": "5.0",
        "rpi4-emulated": "",
    }
    assert result.stdout == "" and "3 rows" in result.stderr


def test_csv_of_samples_has_a_row_for_every_call(filled, tmp_path):
    run("--csv", str(tmp_path / "out.csv"), "--samples", "-d", "local", "-m", "magika")
    rows = read_csv(tmp_path / "out.csv")
    assert len(rows) == 3 * (3 + 30)
    assert [row["warmup"] for row in rows[:4]] == ["True", "True", "True", "False"]
    assert rows[-1]["time_ns"] == "5000000" and rows[-1]["process"] == "2"


def test_parquet_has_the_same_rows_with_types(filled, tmp_path):
    run("--parquet", str(tmp_path / "out.parquet"))
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 4
    assert str(table.schema.field("median_ms").type) == "double"
    run("--parquet", str(tmp_path / "calls.parquet"), "--samples")
    calls = pyarrow.parquet.read_table(tmp_path / "calls.parquet").to_pylist()
    assert {call["instructions"] for call in calls} == {None, 70_100_347}


def test_without_pyarrow_the_command_that_installs_it_is_named(filled, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pyarrow") as caught:
        run("--parquet", str(tmp_path / "out.parquet"))
    assert "pip install 'hwloop[parquet]'" in caught.value.remedy
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("option", ["--csv", "--parquet"])
def test_a_file_that_cannot_be_written_is_named(filled, tmp_path, option):
    with pytest.raises(UsageError, match="cannot be written"):
        run(option, str(tmp_path / "no" / "such" / "folder" / "out"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--verdict", "good"], "no such verdict"),
        (["--since", "yesterday"], "--since yesterday: this is no time"),
        (["--until", "99999999999999w"], "this is no time"),
        (["--samples"], "goes with a file"),
        (["show", "ffff"], "no finished measurement"),
    ],
)
def test_wrong_usage_is_explained(filled, arguments, words):
    with pytest.raises(UsageError, match=words) as caught:
        run(*arguments)
    assert caught.value.remedy


def test_a_store_that_is_none_is_refused(path):
    path.write_text("no database" * 100)
    with pytest.raises(StoreError, match="no SQLite database"):
        run()


def test_help_has_an_example():
    assert "hwloop results -d rpi4" in run("--help").stdout
    assert "hwloop results show" in run("show", "--help").stdout
