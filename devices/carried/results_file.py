"""The file that comes back from a device: a line with the digest of the rest, and the rest compressed.

The digest tells damage from a wrong cable or a full disk. It is no signature: whoever can write the file can write
another digest, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from typing import Any

MAGIC = b"hwloop results "
FORMAT = 1
LONGEST_LINE_BYTES = 120
MOST_BYTES = 4 << 30  # of the content, so that a small file cannot fill the memory


class ResultsRefused(Exception):
    """A file that holds no results, or damaged ones, or those of a newer hwloop."""


def write_results(path: str, content: dict[str, Any]) -> None:
    """Write results, at once or not at all."""
    body = zlib.compress(json.dumps(content, sort_keys=True).encode(), 6)
    line = b"%s%d %s\n" % (MAGIC, FORMAT, hashlib.sha256(body).hexdigest().encode())
    arriving = path + ".arriving"
    with open(arriving, "wb") as file:
        file.write(line + body)
        file.flush()
        os.fsync(file.fileno())
    os.replace(arriving, path)


def read_results(data: bytes) -> dict[str, Any]:
    """Return what a results file holds.

    Raises:
        ResultsRefused: with the reason, in words.
    """
    line, newline, body = data.partition(b"\n")
    words = line[len(MAGIC) :].split(b" ")
    if not line.startswith(MAGIC) or len(line) > LONGEST_LINE_BYTES or len(words) != 2 or not words[0].isdigit():
        raise ResultsRefused("it is no results file of hwloop")
    if int(words[0]) > FORMAT:
        raise ResultsRefused("it is of format %d, and this hwloop reads format %d" % (int(words[0]), FORMAT))
    if not newline or hashlib.sha256(body).hexdigest().encode() != words[1]:
        raise ResultsRefused("it is damaged or cut short: its content is not what its digest says")
    try:
        unpacker = zlib.decompressobj()
        content = json.loads(unpacker.decompress(body, MOST_BYTES).decode())
    except (zlib.error, ValueError) as error:
        raise ResultsRefused("its content cannot be read (%s)" % error)
    if not isinstance(content, dict):
        raise ResultsRefused("its content is not of the agreed form")
    return content
