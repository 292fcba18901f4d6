"""What a request may hold: exactly the agreed keys, each of the agreed form. All else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cache import is_digest
from .wire import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    Form = Callable[[Any], bool]

LONGEST_TEXT = 4096
LONGEST_WORDS = 200
MOST_THREADS = 1024
DAY_S = 86400.0
RUNTIMES = ("onnxruntime", "tvm")


def text(value: Any) -> bool:
    """A text that is not too long and has no zero byte."""
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and "\0" not in value


def short(value: Any) -> bool:
    """A text for people: one short line."""
    return text(value) and len(value) <= LONGEST_WORDS and value.isprintable()


def hexadecimal(value: Any) -> bool:
    """A word of hexadecimal digits."""
    return text(value) and 0 < len(value) <= LONGEST_WORDS and set(value) <= set("0123456789abcdef")


def whole(low: int, high: int) -> Form:
    """A whole number within bounds."""
    return lambda value: type(value) is int and low <= value <= high


def number(low: float, high: float) -> Form:
    """A number within bounds."""
    return lambda value: type(value) in (int, float) and low <= value <= high


def several(form: Form) -> Form:
    """A list whose every item has a form."""
    return lambda value: isinstance(value, list) and all(map(form, value))


def mapping(key: Form, item: Form) -> Form:
    """An object whose every key and value has a form."""
    return lambda value: isinstance(value, dict) and all(key(one) and item(value[one]) for one in value)


def record(**forms: Form) -> Form:
    """An object with exactly these keys."""

    def fits(value: Any) -> bool:
        if not isinstance(value, dict) or value.keys() != forms.keys():
            return False
        return all(form(value[key]) for key, form in forms.items())

    return fits


size = whole(-1, 1 << 62)
owner = record(user=short, host=short, pid=whole(0, 1 << 62), doing=short)
options = mapping(lambda key: key == "dims", mapping(text, whole(0, 1 << 62)))
tensor = {"name": text, "dtype": text, "shape": several(size)}
run = {
    "artifact": is_digest,
    "entry": text,
    "options": options,
    "inputs": several(record(blob=is_digest, **tensor)),
    "outputs": several(record(**tensor)),
    "threads": whole(1, MOST_THREADS),
    "warmup_seconds": number(0, DAY_S),
    "known_outputs": several(is_digest),
    "deadline_s": number(0.01, DAY_S),
}
turns = record(op=text, **run)

REQUESTS: dict[str, dict[str, Form]] = {
    # to the agent
    "facts": {},
    "evidence": {},
    "missing": {"blobs": several(is_digest), "folders": several(is_digest)},
    "adopt": {"files": mapping(is_digest, text)},
    "assemble": {"folder": is_digest, "files": mapping(text, is_digest), "archives": several(is_digest)},
    "trim": {"limit_bytes": whole(0, 1 << 62), "keep": several(is_digest)},
    "lease": {"owner": owner, "token": hexadecimal},
    "await": {"seconds": number(0, 600)},
    "beat": {},
    "holder": {},
    "revoke": {},
    # to a zygote
    "job": {
        **run,
        "relative_width": number(0, 1),
        "seconds": number(0, DAY_S),
        "min_calls": whole(0, 1 << 40),
        "max_calls": whole(1, 1 << 40),
        "counted_calls": whole(0, 1 << 20),
        "full_speed": whole(0, 1),
        "full_speed_ns": whole(0, 1 << 62),
    },
    "turns": run,
    "profile": {**run, "calls": whole(1, 10_000), "counted": whole(0, 1)},
    # to a process that takes turns
    "turn": {"calls": whole(1, 1 << 20)},
    "end": {},
    # to a duel
    "set": {
        "contestants": several(record(runtime=lambda value: value in RUNTIMES, folder=is_digest, job=turns)),
        "seconds": number(0, DAY_S),
        "turn_seconds": number(0, DAY_S),
        "seed": whole(0, 1 << 62),
    },
}


def checked(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request that is as agreed; refuse any other."""
    op = request["op"]
    forms = REQUESTS.get(op)
    if forms is None:
        raise Refused("unknown request %r" % op)
    if request.keys() != {"op", *forms}:
        raise Refused("%r has the keys %s, not %s" % (op, sorted(request), sorted({"op", *forms})))
    for key, form in forms.items():
        if not form(request[key]):
            raise Refused("%r of %r is not of the agreed form" % (key, op))
    return request
