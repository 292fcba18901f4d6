"""`model.h`: what the C sample must know of the model."""

from __future__ import annotations

from collections.abc import Sequence

from hwloop.records import TensorSpec

HEAD = """\
/* What the model takes and returns. */
#include <dlpack/dlpack.h>

struct tensor {
    const char *name, *file; /* the reference values, C order, little-endian */
    DLDataType type;
    int dimensions;
    int64_t shape[MOST_DIMENSIONS];
};
"""
CODES = {"int": "kDLInt", "uint": "kDLUInt", "float": "kDLFloat", "bfloat": "kDLBfloat", "bool": "kDLBool"}


def c_header(entry: str, inputs: Sequence[tuple[TensorSpec, str]], outputs: Sequence[tuple[TensorSpec, str]]) -> str:
    """Return the header for a compiled file, its inputs and its outputs, each with the file of its values."""
    most = max(1, *(len(spec.shape) for spec, _ in (*inputs, *outputs)))
    lines = [
        f"#define MODEL_FILE {_text(entry)}",
        f"#define INPUT_COUNT {len(inputs)}",
        f"#define OUTPUT_COUNT {len(outputs)}",
        f"#define MOST_DIMENSIONS {most}",
        HEAD,
        *_array("INPUTS", inputs),
        *_array("OUTPUTS", outputs),
    ]
    return "\n".join(lines)


def _array(name: str, tensors: Sequence[tuple[TensorSpec, str]]) -> list[str]:
    rows = [f"    {_row(spec, file)}," for spec, file in tensors]
    return [f"static const struct tensor {name}[{max(1, len(rows))}] = {{", *(rows or ["    {0},"]), "};", ""]


def _row(spec: TensorSpec, file: str) -> str:
    name = spec.dtype.rstrip("0123456789")
    bits = spec.dtype[len(name) :] or "8"
    shape = ", ".join(map(str, spec.shape)) or "0"
    return f"{{{_text(spec.name)}, {_text(file)}, {{{CODES[name]}, {bits}, 1}}, {len(spec.shape)}, {{{shape}}}}}"


def _text(value: str) -> str:
    """Return a C string; whatever is not plain becomes an octal escape."""
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in value.encode())
    return f'"{"".join(plain)}"'
