"""Runs the model of this bundle: python3 sample.py [INPUT=FILE]... [--to FOLDER]

A file holds an input's values in C order, little-endian; inputs that are not named are the reference ones. Outputs are
described, and with --to written into a folder, one file each.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True  # the bundle stays as it was signed
sys.pycache_prefix = os.path.join(HERE, "no", "such", "folder")  # compiled code that nobody checked is not read

from driver.model import Model  # type: ignore[import-not-found]  # noqa: E402


def main(words: list[str]) -> None:
    """Run the model once."""
    folder = words[words.index("--to") + 1] if "--to" in words else ""
    model = Model(HERE)
    inputs = model.reference_inputs()
    for word in words:
        name, equals, path = word.rpartition("=")
        if equals and name in inputs:
            with open(path, "rb") as file:
                inputs[name] = file.read()
    for number, (name, (dtype, shape, data)) in enumerate(model.run(inputs).items()):
        print("%s: %s%s, %d bytes" % (name, dtype, shape, len(data)))
        if folder:
            with open(os.path.join(folder, "output-%d.bin" % number), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main(sys.argv[1:])
