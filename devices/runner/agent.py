"""Files and facts: one request a line in, one reply a line out."""

from __future__ import annotations

import zipfile

from .cache import Cache
from .evidence import evidence
from .facts import facts
from .wire import Lines, Refused, parse, reply


def serve_agent(root: str) -> None:
    """Answer requests about files and facts until standard input ends."""
    cache = Cache(root)
    handlers = {
        "facts": lambda request: facts(root),
        "evidence": lambda request: evidence(),
        "missing": cache.missing,
        "adopt": cache.adopt,
        "assemble": cache.assemble,
    }
    requests = Lines(0)
    for line in iter(requests.next, None):
        try:
            request = parse(line)
            if request["op"] not in handlers:
                raise Refused("unknown request %r" % request["op"])
            answer = {"ok": handlers[request["op"]](request)}
        except OSError as error:
            answer = {"error": {"kind": "disk full" if error.errno == 28 else "os", "message": str(error)}}
        except (Refused, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            answer = {"error": {"kind": "refused", "message": "%s: %s" % (type(error).__name__, error)}}
        reply(1, answer)
