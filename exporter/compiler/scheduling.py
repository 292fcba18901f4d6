"""Every kernel of a fused module as its schedule says, else as its rule makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tvm import IRModule, ir, s_tir, tirx

from hwloop.exporter.compiler.kernels import kernel_digest
from hwloop.exporter.compiler.machine import Machine
from hwloop.exporter.compiler.packing import Panels
from hwloop.exporter.compiler.passes.repacking import repack_constants
from hwloop.exporter.compiler.rules import RULES
from hwloop.exporter.compiler.rules.base import Rule
from hwloop.exporter.compiler.rules.tilings import Packed
from hwloop.exporter.schedules import Schedule, Schedules, Tiling, Trace


@dataclass
class Scheduled:
    """A module with its kernels made: the rule of each by name, those that none matched, the schedules that were used.

    `digests` has all kernels, by name, and `used` is by digest.
    """

    module: Any
    rules: dict[str, str] = field(default_factory=dict)
    unscheduled: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)
    used: dict[str, Schedule] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """A kernel's code; `repack` says what must stand at its packed parameter: other panels than before."""

    function: Any
    rule: str
    repack: tuple[Packed, Panels] | None = None


def schedule_kernels(module: Any, machine: Machine, schedules: Schedules | None = None) -> Scheduled:
    """Make every kernel: by what `schedules` has for its digest, else by its rule, else not at all.

    A constant that a tuned kernel reads in panels of another width is packed anew.
    """
    known, found, left = schedules or {}, Scheduled(module), []
    repacks: dict[Any, tuple[Packed, Panels]] = {}
    for variable, function in module.functions.items():
        if not isinstance(function, tirx.PrimFunc):
            continue
        name, digest = variable.name_hint, kernel_digest(function)
        found.digests[name] = digest
        made = make(function, machine, known.get(digest))
        if made is None:
            left.append(name)
            continue
        module[variable] = made.function
        found.rules[name] = made.rule
        if made.repack:
            repacks[variable] = made.repack
        if digest in known:
            found.used[digest] = known[digest]
    found.unscheduled = tuple(sorted(left))
    found.module = repack_constants(module, repacks) if repacks else module
    return found


def make(kernel: Any, machine: Machine, schedule: Schedule | None = None) -> Made | None:
    """Return a kernel as a schedule says, else as its rule makes it; None if no rule matches."""
    if isinstance(schedule, Trace):
        return Made(traced(kernel, schedule), "metaschedule")
    matched = rule_of(kernel, machine)
    if matched is None:
        return None
    rule, made = matched
    if not isinstance(schedule, Tiling):
        return Made(made, rule.name)
    packed = rule.options(kernel, machine).packed
    repack = (packed, packed.as_wide_as(schedule.vectors)) if packed else None
    return Made(rule.apply(kernel, machine.told(schedule)), rule.name, repack)


def rule_of(kernel: Any, machine: Machine) -> tuple[Rule, Any] | None:
    """Return the first rule that matches a kernel, and what it makes of it."""
    for rule in RULES:
        made = rule.apply(kernel, machine)
        if made is not None:
            return rule, made
    return None


def traced(kernel: Any, trace: Trace) -> Any:
    """Return a kernel after the steps of a trace."""
    schedule = s_tir.Schedule(IRModule({"main": kernel.with_attr("global_symbol", "main")}))
    s_tir.schedule.Trace.apply_json_to_schedule(ir.load_json(trace.steps), schedule)
    return schedule.mod["main"].without_attr("global_symbol").with_attr("tirx.is_scheduled", True)
