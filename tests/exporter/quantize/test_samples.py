"""Data for calibration: read from a file, cut into batches, or refused with what is wrong."""

import numpy as np
import pytest

from hwloop.errors import UsageError
from hwloop.exporter.quantize.samples import Samples


def saved(path, **arrays):
    np.savez(path, **arrays)
    return Samples.load(path)


def test_samples_become_batches_and_what_fills_none_is_left(tmp_path):
    samples = saved(tmp_path / "data.npz", image=np.arange(10).reshape(5, 2))
    batches = samples.batches({"image": 2})
    assert [batch["image"].tolist() for batch in batches] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


def test_a_part_takes_its_own_inputs_alone(tmp_path):
    samples = saved(tmp_path / "data.npz", source=np.zeros((3, 4)), token=np.ones((3, 1)))
    assert [set(batch) for batch in samples.batches({"token": 1})] == [{"token"}] * 3


def test_an_input_without_an_array_and_too_few_samples_are_refused(tmp_path):
    samples = saved(tmp_path / "data.npz", image=np.zeros((3, 4)))
    with pytest.raises(UsageError, match=r"data\.npz: it has no array 'mask'"):
        samples.batches({"image": 1, "mask": 1})
    with pytest.raises(UsageError, match="fewer samples than a batch takes, 4"):
        samples.batches({"image": 4})


def test_a_file_that_is_no_archive_of_arrays_is_refused(tmp_path):
    (tmp_path / "junk.npz").write_text("junk")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut")
    for name in ("junk.npz", "one.npy", "cut.npz", "nowhere.npz"):
        with pytest.raises(UsageError, match=name):
            Samples.load(tmp_path / name)


@pytest.mark.parametrize("arrays", [{}, {"a": np.float32(1)}, {"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}])
def test_arrays_that_are_no_samples_are_refused(tmp_path, arrays):
    with pytest.raises(UsageError, match="it has the arrays"):
        saved(tmp_path / "data.npz", **arrays)


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "data.npz", a=np.array([{}], dtype=object))
    with pytest.raises(UsageError, match=r"no \.npz file"):
        Samples.load(tmp_path / "data.npz")
