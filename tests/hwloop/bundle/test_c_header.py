"""model.h is C, whatever the tensors are called."""

import platform
import subprocess

from hwloop.bundle.c_header import c_header
from hwloop.exporter.toolchain import linkers_for
from hwloop.records import Target, TensorSpec

PROGRAM = """
#include <stdio.h>
#include "model.h"
int main(void)
{
    for (int i = 0; i < INPUT_COUNT; i++)
        printf("%s %s %d %d %d %d\\n", INPUTS[i].name, INPUTS[i].file, INPUTS[i].type.code, INPUTS[i].type.bits,
               INPUTS[i].dimensions, (int)INPUTS[i].shape[0]);
    printf("%s %d %s", OUTPUTS[0].name, OUTPUT_COUNT, MODEL_FILE);
    return 0;
}
"""


def printed(original, folder, header):
    (folder / "model.h").write_text(header)
    (folder / "program.c").write_text(PROGRAM)
    compiler = linkers_for(Target(f"{platform.machine()}-linux-gnu", "generic"))[0]
    words = ["-std=c11", "-Wall", "-Werror", f"-I{original}/runtime/include", "program.c", "-o", "program"]
    subprocess.run([*compiler, *words], cwd=folder, timeout=120, check=True)
    return subprocess.run(["./program"], cwd=folder, capture_output=True, timeout=60, check=True).stdout.decode()


def test_names_types_and_shapes_arrive(original, tmp_path):
    odd = 'a"b\\c??/ü/%s\n'
    inputs = [
        (TensorSpec(odd, "float16", (2, 3)), "reference/input-0.bin"),
        (TensorSpec("mask", "bool", (7,)), "reference/input-1.bin"),
        (TensorSpec("scalar", "int64", ()), "reference/input-2.bin"),
    ]
    header = c_header("model/model.so", inputs, [(TensorSpec("y", "bfloat16", (1, 2, 3, 4)), "o")])
    assert printed(original, tmp_path, header) == (
        f"{odd} reference/input-0.bin 2 16 2 2\nmask reference/input-1.bin 6 8 1 7\n"
        "scalar reference/input-2.bin 0 64 0 0\ny 1 model/model.so"
    )


def test_a_model_without_inputs_has_a_header_too(original, tmp_path):
    header = c_header("model/model.so", [], [(TensorSpec("y", "float32", (1,)), "o")])
    assert printed(original, tmp_path, header) == "y 1 model/model.so"
