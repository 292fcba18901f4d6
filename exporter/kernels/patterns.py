"""Norms and softmaxes that exporters wrote in their parts, put together again.

layer norm  x → c = x - mean(x) → c / sqrt(mean(c²) + ε)
RMS norm    x → x / sqrt(mean(x²) + ε)
softmax     x → e = exp(x - max(x)) → e / sum(e)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hwloop.exporter.kernels.reading import Graph, Op
from hwloop.exporter.kernels.uses import Uses, living


@dataclass(frozen=True)
class _Match:
    """The operators of a pattern, the last of which makes its output, and the value that it starts from."""

    kind: str
    start: str
    parts: tuple[Op, ...]


def join_patterns(graph: Graph) -> Uses:
    """Put an operator in the place of each pattern; return the uses of what is left."""
    uses = living(graph)
    matches = [match for op in uses.ops for match in _matches(uses, op)]
    if not matches:
        return uses
    joined = {id(match.parts[-1]): match for match in matches}
    gone = {id(op) for match in matches for op in match.parts}
    graph.ops = [
        _joined(joined[id(op)]) if id(op) in joined else op for op in uses.ops if id(op) in joined or id(op) not in gone
    ]
    return living(graph)


def _joined(match: _Match) -> Op:
    return Op("", match.kind, (match.start,), match.parts[-1].outputs, {"axis": -1}, nodes=len(match.parts))


def _matches(uses: Uses, op: Op) -> Iterator[_Match]:
    found = _norm(uses, op) if op.kind == "Sqrt" else _softmax(uses, op) if op.kind == "ReduceSum" else None
    if found and _closed(uses, found):
        yield found


def _norm(uses: Uses, root: Op) -> _Match | None:
    """Match from the square root: up to the start, down to the division."""
    eps = _maker(uses, root, "Add")
    mean = _maker(uses, eps, "ReduceMean")
    square = _maker(uses, mean, "Pow", "Mul")
    end = _only_reader(uses, root, "Div", "Reciprocal")
    if eps is None or mean is None or square is None or end is None:
        return None
    parts = [square, mean, eps, root, end]
    if end.kind == "Reciprocal" or end.inputs[0] in uses.graph.constants:
        multiplied = _only_reader(uses, end, "Mul")
        if multiplied is None:
            return None
        parts.append(multiplied)
    centred = uses.reads(square)[0]
    minus = uses.makers.get(centred)
    if minus is not None and minus.kind == "Sub" and len(uses.reads(minus)) == 2:
        start = uses.reads(minus)[0]
        average = uses.makers.get(uses.reads(minus)[1])
        if average is not None and average.kind == "ReduceMean" and uses.reads(average) == (start,):
            return _Match("LayerNormalization", start, (average, minus, *parts))
    return _Match("RMSNormalization", centred, tuple(parts))


def _softmax(uses: Uses, total: Op) -> _Match | None:
    """Match from the sum."""
    power = _maker(uses, total, "Exp")
    minus = _maker(uses, power, "Sub")
    end = _only_reader(uses, total, "Div")
    if power is None or minus is None or end is None or len(uses.reads(minus)) != 2:
        return None
    start = uses.reads(minus)[0]
    most = uses.makers.get(uses.reads(minus)[1])
    if most is None or most.kind != "ReduceMax" or uses.reads(most) != (start,):
        return None
    return _Match("Softmax", start, (most, minus, power, total, end))


def _maker(uses: Uses, op: Op | None, *kinds: str) -> Op | None:
    """Return the operator that makes the only value which `op` reads, if it is of one of these kinds."""
    read = uses.reads(op) if op else []
    maker = uses.makers.get(read[0]) if len(read) == 1 else None
    return maker if maker is not None and maker.kind in kinds else None


def _only_reader(uses: Uses, op: Op, *kinds: str) -> Op | None:
    readers = uses.readers.get(op.outputs[0], [])
    return readers[0] if len(readers) == 1 and readers[0].kind in kinds else None


def _closed(uses: Uses, match: _Match) -> bool:
    """Whether nobody else reads what is made within, and the end divides what the pattern started."""
    inside: Collection[int] = {id(op) for op in match.parts}
    made = {name for op in match.parts for name in op.outputs}
    leaks = any(
        id(reader) not in inside
        for op in match.parts[:-1]
        for name in op.outputs
        for reader in uses.readers.get(name, [])
    )
    returned = uses.results & (made - set(match.parts[-1].outputs))
    return not leaks and not returned and set(uses.reads(match.parts[-1])) <= made | {match.start}
