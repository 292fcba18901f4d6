"""Kernels that bear digests have names for people."""

import pytest

from hwloop.exporter.kernel_labels import KernelLabels

KERNEL = "kernel_" + "0123456789abcdef" * 2


@pytest.fixture
def labels(tmp_path):
    return KernelLabels(tmp_path / "objects")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("fused_matmul3_add12_gelu", "matmul_add_gelu 012345"),
        ("conv2d1", "conv2d 012345"),
        ("fused_layer_norm", "layer_norm 012345"),
    ],
)
def test_a_label_has_no_numbers_by_which_one_model_tells_its_kernels_apart(labels, name, label):
    labels.write(KERNEL, name, "matmul")
    assert labels.read(KERNEL) == (label, "matmul")


def test_the_first_label_stays(labels):
    labels.write(KERNEL, "add", "elementwise")
    labels.write(KERNEL, "multiply", "elementwise")
    assert labels.read(KERNEL)[0] == "add 012345"


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        (KERNEL, ("kernel 012345", "kernel")),
        ("vm.builtin.alloc_tensor", ("vm.builtin.alloc_tensor", "runtime")),
        ("softmax", ("softmax", "kernel")),
    ],
)
def test_a_kernel_without_a_label_is_told_by_its_own_name(labels, kernel, told):
    assert labels.read(kernel) == told


def test_a_damaged_label_is_none(labels, tmp_path):
    labels.write(KERNEL, "add", "elementwise")
    next((tmp_path / "objects").glob("*.json")).write_text("{")
    assert labels.read(KERNEL) == ("kernel 012345", "kernel")
