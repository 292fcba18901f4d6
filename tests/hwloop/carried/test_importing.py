"""Results that were carried back stand in the store as if a session had brought them; what is wrong is refused."""

import json
import shutil
import zipfile

import pytest

from hwloop.carried import import_results
from hwloop.devices.carried.results_file import read_results, write_results
from hwloop.errors import UsageError
from hwloop.exporter.runtimes.onnxruntime import OnnxRuntime
from hwloop.measure import MeasureJob, measure
from hwloop.measure.job import Silent
from hwloop.measure.workload import load_workloads
from hwloop.records import FailureKind, TimingProtocol, Verdict
from hwloop.store import Store
from hwloop.testing.models import perceptron

from .conftest import QUICK


@pytest.fixture
def world(done, tmp_path):
    """The finished job in a folder of its own, with a store that knows the job and nothing else."""
    shutil.copytree(done.folder, tmp_path / "world", ignore=shutil.ignore_patterns("store.sqlite*"))
    copied = type(done)(tmp_path / "world", tmp_path / "world" / "store.sqlite", done.device, done.cache)
    with Store.open(copied.store) as store:
        yield copied, store


def changed(made, change):
    """Rewrite a results file, whose digest is right again, after a change of its content."""
    content = read_results(made.results.read_bytes())
    change(content)
    write_results(str(made.results), content)


def refused(made, store, words, **options):
    with pytest.raises(UsageError, match=words) as caught:
        import_results(made.results, store, **options)
    assert store.query() == []
    return caught.value


def test_every_cell_is_measured_by_the_protocol_and_judged(world):
    made, store = world
    found = import_results(made.results, store)
    assert (found.new, len(found.measurements), found.unfinished) == (4, 4, [])
    by_name = {(one.subject.model, one.subject.runtime): one for one in found.measurements}
    for runtime in ("onnxruntime", "tvm"):
        one = store.get(by_name["perceptron", runtime].id)
        assert len(one.runs) >= QUICK.processes
        assert one.summary.samples >= QUICK.min_calls
        assert all(run.outputs_match and run.before.processors and run.during.cpus for run in one.runs)
        assert one.summary.output_max_abs_err < 1e-4
        assert one.limits.settle_s == 0
        assert one.subject.device == "airgapped"
        assert len(one.subject.device_identity) == 16
    failed = by_name["lstm", "tvm"]
    assert failed.verdict is Verdict.FAILED
    assert failed.failure.kind is FailureKind.UNSUPPORTED


def test_a_measurement_has_the_form_of_one_that_a_session_took(world, tmp_path):
    from hwloop.devices.fleet import Device, LimitSettings, LocalDevice

    made, store = world
    carried_back = import_results(made.results, store).measurements[0]
    local = Device("here", LocalDevice(transport="local", limits=LimitSettings(settle_s=0)))
    workloads = load_workloads([perceptron(tmp_path / "perceptron.onnx")], {}, {}, 0)
    taken = measure(MeasureJob(workloads, [local], [OnnxRuntime()], QUICK), store, Silent()).measurements[0]
    assert carried_back.as_json().keys() == taken.as_json().keys()
    same = ("model", "model_digest", "artifact_digest", "inputs_digest", "runtime", "runtime_version", "protocol")
    for name in same:
        assert getattr(carried_back.subject, name) == getattr(taken.subject, name), name
    assert store.runs(carried_back.id)[0].outputs_digest == store.runs(taken.id)[0].outputs_digest


def test_a_file_that_is_imported_twice_is_not_doubled(world):
    made, store = world
    first = import_results(made.results, store)
    second = import_results(made.results, store)
    assert second.new == 0
    assert [one.id for one in second.measurements] == [one.id for one in first.measurements]
    assert len(store.query()) == 4


def test_an_import_that_was_ended_is_gone_on_with(done, tmp_path, monkeypatch):
    class Ended(Exception):
        pass

    def end(*_, **__):
        raise Ended

    shutil.copytree(done.folder / "jobs", tmp_path / "jobs")
    with Store.open(tmp_path / "store.sqlite") as store, monkeypatch.context() as patch:
        patch.setattr(Store, "finish", end)
        with pytest.raises(Ended):
            import_results(done.results, store)
        (begun,) = [row["id"] for row in store.read("SELECT id FROM measurement", [])]
    with Store.open(tmp_path / "store.sqlite") as store:
        assert import_results(done.results, store).measurements[0].id == begun
        assert len(store.read("SELECT id FROM measurement", [])) == 4


def test_what_was_imported_is_not_measured_by_the_next_job(world):
    from hwloop.carried import build_job

    made, store = world
    found = import_results(made.results, store)
    job = MeasureJob(load_workloads([made.folder / "perceptron.onnx"], {}, {}, 0), [], [OnnxRuntime()], QUICK)
    built = build_job(job, made.device, made.folder / "next.pyz", store, Silent())
    assert [one.id for one in built.known] == [found.measurements[0].id]
    assert not (made.folder / "next.pyz").exists()


def test_wrong_outputs_are_found_here(world):
    made, store = world

    def other_outputs(content):
        for reply in content["replies"]:
            reply["ok"]["outputs_digest"] = "0" * 64
            reply["ok"]["outputs"] = [
                {"name": "a1", "dtype": "float32", "shape": [1], "data": "AACAPw=="},
            ]

    changed(made, other_outputs)
    one = import_results(made.results, store).measurements[0]
    assert one.verdict is Verdict.INVALID
    assert one.reasons[0].startswith("outputs differ")


def test_results_of_a_job_that_this_store_has_not_written_need_its_archive(world):
    made, store = world
    shutil.rmtree(made.folder / "jobs")
    assert "--job" in refused(made, store, "none of this store's jobs").remedy
    assert import_results(made.results, store, made.archive).new == 4


def test_results_of_another_job_are_refused(world, carry, tmp_path):
    made, store = world
    other = carry(tmp_path / "other", protocol=TimingProtocol(seconds=0.04), device=made.device)
    refused(made, store, "is job", job_file=other.archive)
    changed(made, lambda content: content.update(job="f" * 64))
    refused(made, store, "none of this store's jobs")


def test_a_changed_byte_and_a_torn_file_are_refused(world):
    made, store = world
    data = made.results.read_bytes()
    made.results.write_bytes(data[:-20] + b"x" + data[-19:])
    assert "Copy it" in refused(made, store, "damaged or cut short").remedy
    made.results.write_bytes(data[: len(data) // 2])
    refused(made, store, "damaged or cut short")
    made.results.unlink()
    refused(made, store, "cannot be read")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["replies"].append({"cell": 9, "ok": {}}),
        lambda content: content["replies"].append({"cell": 3, "ok": {}}),  # which could not be built
        lambda content: content["replies"][0]["ok"].update(samples_ns=["soon"]),
        lambda content: content["replies"][0]["ok"].pop("outputs"),
        lambda content: content["facts"].pop("identity"),
        lambda content: content.pop("replies"),
    ],
)
def test_content_that_is_not_as_agreed_is_refused_as_a_whole(world, change):
    made, store = world
    changed(made, change)
    refused(made, store, "not of the agreed form")


def test_a_cell_that_needs_more_processes_is_named_and_left_for_later(world):
    made, store = world
    whole = made.results.read_bytes()

    def one_process_less(content):
        last = max(number for number, reply in enumerate(content["replies"]) if reply["cell"] == 0)
        first = min(number for number, reply in enumerate(content["replies"]) if reply["cell"] == 0)
        content["replies"] = [
            reply for number, reply in enumerate(content["replies"]) if reply["cell"] != 0 or number == first != last
        ]

    changed(made, one_process_less)
    assert import_results(made.results, store).unfinished == ["perceptron with onnxruntime"]
    made.results.write_bytes(whole)
    assert import_results(made.results, store).new == 1


def test_a_job_whose_reference_was_changed_is_refused(world):
    made, store = world
    document = made.document()
    kept = next((made.folder / "jobs").iterdir())
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("job.json", json.dumps(document, sort_keys=True, indent=1))
        for name in document["files"]:
            if name.startswith("references/"):
                archive.writestr(name, b"other")
    refused(made, store, "other content")
