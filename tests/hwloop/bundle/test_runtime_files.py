"""Out of wheels goes what a device needs, and every licence."""

import zipfile

import pytest

from hwloop.bundle.archive import names_below
from hwloop.bundle.runtime_files import unpack_runtime
from hwloop.errors import FetchError


def wheel(folder, name, members):
    path = folder / f"{name}-1.2.3-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, member)
    return path


def test_of_tvm_its_two_libraries_and_the_headers_of_one(tmp_path):
    wheels = [
        wheel(
            tmp_path,
            "apache_tvm",
            [
                "tvm/lib/libtvm_runtime.so",
                "tvm/lib/libtvm_compiler.so",
                "x.dist-info/licenses/",
                "x.dist-info/licenses/LICENSE",
            ],
        ),
        wheel(
            tmp_path,
            "apache_tvm_ffi",
            [
                "tvm_ffi/lib/libtvm_ffi.so",
                "tvm_ffi/include/tvm/ffi/c_api.h",
                "tvm_ffi/include/tvm/ffi/any.h",
                "tvm_ffi/include/dlpack/dlpack.h",
                "x.dist-info/licenses/deep/NOTICE",
            ],
        ),
    ]
    assert unpack_runtime(wheels, tmp_path / "to") == {"apache-tvm": "1.2.3", "apache-tvm-ffi": "1.2.3"}
    assert names_below(tmp_path / "to") == [
        "licences/apache-tvm-ffi/deep-NOTICE",
        "licences/apache-tvm/LICENSE",
        "runtime/include/dlpack/dlpack.h",
        "runtime/include/tvm/ffi/c_api.h",
        "runtime/libtvm_ffi.so",
        "runtime/libtvm_runtime.so",
    ]


def test_of_onnxruntime_and_numpy_what_they_import(tmp_path):
    wheels = [
        wheel(
            tmp_path,
            "onnxruntime",
            [
                "onnxruntime/__init__.py",
                "onnxruntime/LICENSE",
                "onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so",
                "onnxruntime/capi/libonnxruntime.so.1.2.3",
                "onnxruntime/transformers/optimizer.py",
            ],
        ),
        wheel(
            tmp_path,
            "numpy",
            [
                "numpy/__init__.py",
                "numpy/core/_multiarray_tests.so",
                "numpy/lib/tests/test_io.py",
                "numpy.libs/libopenblas.so",
            ],
        ),
    ]
    unpack_runtime(wheels, tmp_path / "to")
    assert names_below(tmp_path / "to") == [
        "licences/onnxruntime/LICENSE",
        "runtime/numpy.libs/libopenblas.so",
        "runtime/numpy/__init__.py",
        "runtime/numpy/core/_multiarray_tests.so",
        "runtime/onnxruntime/__init__.py",
        "runtime/onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so",
    ]


def test_a_wheel_without_what_is_needed_is_told(tmp_path):
    with pytest.raises(FetchError, match=r"has no libtvm_runtime\.so"):
        unpack_runtime([wheel(tmp_path, "apache_tvm", ["tvm/lib/libother.so"])], tmp_path / "to")
    with pytest.raises(FetchError, match="has no numpy"):
        unpack_runtime([wheel(tmp_path, "numpy", ["other/__init__.py"])], tmp_path / "to")
