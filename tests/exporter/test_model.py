"""What is read off an ONNX file, and what is said of a bad one."""

import math
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.external_data_helper import set_external_data

from hwloop.errors import ModelError
from hwloop.exporter.model import load_model
from hwloop.records import TensorSpec


def refusal(path: Path, **shapes: int) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_model(path, shapes)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    return caught.value


@pytest.fixture
def external(save):
    """A model whose weights stand in weights.bin."""
    return save(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"x": (TensorProto.FLOAT, [64])},
        {"y": (TensorProto.FLOAT, [64])},
        {"w": np.ones(64, np.float32)},
        save={"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0},
    )


def point_elsewhere(path: Path, location: str, **entries: object) -> None:
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    tensor.raw_data = b"x"
    set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())


# ── what is read ──


def test_a_fixed_model_needs_no_shapes(relu):
    model = load_model(relu(shape=(2, 3)))
    assert model.inputs == (TensorSpec("x", "float32", (2, 3)),)
    assert model.outputs == (TensorSpec("y", "float32", (2, 3)),)
    assert model.opset == 17
    assert not model.dims and not model.used_shapes and not model.external


def test_named_dimensions_are_bound_wherever_they_stand(relu):
    model = load_model(relu(shape=("batch", "batch", 3)), {"batch": 4, "other": 9})
    assert model.inputs[0].shape == model.outputs[0].shape == (4, 4, 3)
    assert model.dims == {"batch": 4}
    assert model.used_shapes == {"batch"}


def test_a_dimension_without_a_name_is_bound_by_place(relu):
    model = load_model(relu(shape=(None, 3)), {"x:0": 4})
    assert model.inputs[0].shape == (4, 3)
    assert model.used_shapes == {"x:0"}
    assert model.dims == {}


def test_a_size_given_by_place_holds_for_all_dimensions_of_that_name(relu):
    model = load_model(relu(shape=("n", 3, "n")), {"x:2": 4})
    assert model.inputs[0].shape == (4, 3, 4)
    assert model.dims == {"n": 4}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TensorProto.FLOAT16, "float16"), (TensorProto.BFLOAT16, "bfloat16"), (TensorProto.DOUBLE, "float64"),
        (TensorProto.BOOL, "bool"), (TensorProto.INT8, "int8"), (TensorProto.UINT64, "uint64"),
    ],
)  # fmt: skip
def test_types_have_numpys_names(relu, kind, name):
    assert load_model(relu(kind=kind)).inputs[0].dtype == name


def test_an_initializer_that_is_also_a_graph_input_is_no_input(save):
    path = save(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        {"w": (TensorProto.FLOAT, [3]), "x": (TensorProto.FLOAT, [3])},
        {"y": (TensorProto.FLOAT, [3])},
        {"w": np.ones(3, np.float32)},
        ir_version=3,
    )
    assert [spec.name for spec in load_model(path).inputs] == ["x"]


def test_an_operator_of_an_unknown_domain_is_left_to_the_runtimes(save):
    path = save(
        [helper.make_node("Strange", ["x"], ["y"], domain="org.example")],
        {"x": (TensorProto.FLOAT, [3])},
        {"y": (TensorProto.FLOAT, [3])},
        imports=[helper.make_opsetid("org.example", 1)],
    )
    assert load_model(path).inputs


def test_the_digest_is_of_the_content_alone(relu, tmp_path):
    here = load_model(relu())
    copy = tmp_path / "elsewhere.onnx"
    copy.write_bytes(here.path.read_bytes())
    assert load_model(copy).digest == here.digest
    assert load_model(relu(shape=(2, 4), name="other.onnx")).digest != here.digest


def test_external_data_belongs_to_the_model(external):
    model = load_model(external)
    assert model.external == {"weights.bin": external.parent.resolve() / "weights.bin"}
    assert model.size_bytes == external.stat().st_size + 256
    (external.parent / "weights.bin").write_bytes(np.zeros(64, np.float32).tobytes())
    assert load_model(external).digest != model.digest


def test_files_that_are_links_into_a_download_cache_are_followed(external, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    for name in ("model.onnx", "weights.bin"):
        (tmp_path / name).rename(blobs / f"blob-{name}")
        (snapshot / name).symlink_to(blobs / f"blob-{name}")
    assert load_model(snapshot / "model.onnx").external == {"weights.bin": blobs / "blob-weights.bin"}


# ── what is refused ──


def test_a_missing_file(tmp_path):
    assert "no such file" in str(refusal(tmp_path / "none.onnx"))


def test_a_folder(tmp_path):
    assert "folder" in str(refusal(tmp_path))


@pytest.mark.parametrize("content", [b"hello, this is a text\n", b"\x89PNG\r\n\x1a\n" + bytes(64), b"{}"])
@pytest.mark.parametrize("name", ["model.onnx", "model.json", "model.textproto"])
def test_a_file_that_is_no_onnx(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    assert "no ONNX" in str(refusal(path))


def test_an_empty_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.touch()
    assert "empty" in str(refusal(path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(convnet, share):
    whole = convnet.read_bytes()
    convnet.write_bytes(whole[: math.floor(len(whole) * share)])
    assert "truncated" in str(refusal(convnet, batch=1))


def test_every_truncation_is_refused(relu):
    path = relu()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refusal(path)


def test_no_nodes(save):
    path = save([], {"x": (TensorProto.FLOAT, [1])}, {"x": (TensorProto.FLOAT, [1])})
    assert "no nodes" in str(refusal(path))


def test_an_opset_that_is_not_known_yet(relu):
    newest = onnx.defs.onnx_opset_version()
    error = refusal(relu(opset=newest + 1))
    assert f"its opset is {newest + 1}" in str(error) and str(newest) in str(error)


def test_an_ir_version_that_is_not_known_yet(relu):
    assert "IR version is 99" in str(refusal(relu(ir_version=99)))


def test_open_dimensions_are_all_named_with_the_flags_that_close_them(relu):
    error = refusal(relu(shape=("batch", "time", None, "batch")))
    assert "'batch' (input 'x', axis 0)" in str(error)
    assert error.remedy.endswith("--shape batch=8 --shape time=8 --shape x:2=8")


def test_two_sizes_for_one_dimension(relu):
    error = refusal(relu(shape=("n", "n")), **{"n": 2, "x:1": 3})
    assert "two sizes" in str(error) and "--shape n=" in error.remedy


def test_missing_external_data(external):
    (external.parent / "weights.bin").unlink()
    assert "'weights.bin' is missing" in str(refusal(external))


def test_truncated_external_data(external):
    os.truncate(external.parent / "weights.bin", 255)
    assert "truncated: 255 bytes of 256" in str(refusal(external))


def test_truncated_external_data_without_a_length(external):
    point_elsewhere(external, "weights.bin")
    os.truncate(external.parent / "weights.bin", 255)
    assert "truncated: 255 bytes of 256" in str(refusal(external))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "sub/../../weights.bin", ""])
def test_external_data_outside_the_models_folder(external, location):
    (external.parent.parent / "weights.bin").write_bytes(bytes(256))
    point_elsewhere(external, location)
    assert "outside the model's folder" in str(refusal(external))


def test_external_data_that_is_a_link_out_of_the_models_folder(external, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret"
    elsewhere.write_bytes(bytes(256))
    (external.parent / "weights.bin").unlink()
    (external.parent / "weights.bin").symlink_to(elsewhere)
    assert "outside the model's folder" in str(refusal(external))


@pytest.mark.parametrize("entries", [{"offset": "ten"}, {"offset": -1}, {"length": "-5"}])
def test_external_data_at_an_unusable_place(external, entries):
    point_elsewhere(external, "weights.bin", **entries)
    assert "no usable offset or length" in str(refusal(external))


def test_text_as_an_input(save):
    path = save(
        [helper.make_node("Identity", ["words"], ["y"])],
        {"words": (TensorProto.STRING, [1])},
        {"y": (TensorProto.STRING, [1])},
    )
    assert "input 'words' takes text" in str(refusal(path))


def test_a_type_that_no_runtime_can_be_fed(relu):
    assert "input 'x' has the type complex64" in str(refusal(relu(kind=TensorProto.COMPLEX64)))


@pytest.mark.parametrize("side", ["input", "output"])
def test_sequences(relu, side):
    path = relu()
    model = onnx.load(path)
    value = getattr(model.graph, side)[0]
    value.type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [2])))
    onnx.save(model, path)
    assert f"{side} {value.name!r} is no tensor (sequence)" in str(refusal(path))


def test_an_input_without_a_shape(relu):
    path = relu(shape=None)
    assert "input 'x' has no shape" in str(refusal(path))


# ── a file that changes later ──


def test_a_model_that_stays_as_it_is_can_be_used(external):
    load_model(external).require_unchanged()


def test_a_file_that_changed_after_it_was_read(relu):
    path = relu(shape=(1, 3))
    model = load_model(path)
    relu(shape=(1, 4))
    with pytest.raises(ModelError, match="changed after it was read") as raised:
        model.require_unchanged()
    assert "Run the command again" in raised.value.remedy


def test_external_data_that_changed_or_went_after_it_was_read(external):
    model = load_model(external)
    weights = external.parent / "weights.bin"
    weights.write_bytes(bytes(256))
    with pytest.raises(ModelError, match=r"weights\.bin changed"):
        model.require_unchanged()
    weights.unlink()
    with pytest.raises(ModelError, match=r"weights\.bin changed"):
        model.require_unchanged()
