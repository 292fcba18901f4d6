"""Files of models: a schema, no Python objects, and plain words for what is none of ours."""

import numpy as np
import pytest

from hwloop.errors import UsageError
from hwloop.predictor.saving import SCHEMA, read, write


def test_arrays_come_back_equal(tmp_path):
    write(tmp_path / "m.npz", "kind", {"a": np.arange(3), "names": np.array(["x", "yy"])})
    state = read(tmp_path / "m.npz", "kind")
    assert state["a"].tolist() == [0, 1, 2]
    assert state["names"].tolist() == ["x", "yy"]
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


def test_an_unknown_schema_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "new.npz"
    np.savez(path, schema=np.array(SCHEMA + 1), kind=np.array("kind"))
    with pytest.raises(UsageError, match=rf"new.npz: schema {SCHEMA + 1} is unknown") as caught:
        read(path, "kind")
    assert "Fit the model again" in caught.value.remedy


def test_a_file_without_schema_is_refused(tmp_path):
    path = tmp_path / "any.npz"
    np.savez(path, a=np.arange(3))
    with pytest.raises(UsageError, match="schema None is unknown"):
        read(path, "kind")


def test_another_kind_of_model_is_refused(tmp_path):
    write(tmp_path / "m.npz", "transfer", {})
    with pytest.raises(UsageError, match="holds a model of kind transfer, not ensemble"):
        read(tmp_path / "m.npz", "ensemble")


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 truncated"])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a saved predictor"):
        read(path, "kind")


def test_python_objects_are_never_loaded(tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, schema=np.array(SCHEMA), kind=np.array("kind"), a=np.array([object()], dtype=object))
    with pytest.raises(UsageError, match="not a saved predictor"):
        read(path, "kind")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "none.npz", "kind")
