"""How a CPU multiplies small integers: types, how many steps of a reduction one instruction takes, and which one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx

from hwloop.exporter.compiler.machine import Machine

PAIR_PRODUCTS = {4: "llvm.x86.sse2.pmadd.wd", 8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}


@dataclass(frozen=True)
class IntegerDot:
    """sum += the dot product of `group` numbers of the left side with as many of the right, exact in 32 bits.

    The instruction is `vnni` (4 unsigned bytes by 4 signed), `sdot` (4 signed bytes by 4), `pairs` (2 by 2 of 16 bits)
    or `widening` (one by one of 16 bits).
    """

    instruction: str
    group: int
    left: str
    right: str

    @property
    def left_range(self) -> tuple[int, int]:
        """Return the least and the greatest number on the left."""
        return _range(self.left)

    def holds(self, least: int, greatest: int) -> bool:
        """Return whether the right side can have such numbers."""
        low, high = _range(self.right)
        return low <= least and greatest <= high

    def combine(self, total: Any, left: Any, right: Any) -> Any:
        """Return the new sums.

        `left` has one 32-bit word a lane: its group of numbers, or the number itself where the group is one;
        `right` is a vector of `lanes * group` numbers.
        """
        kind, lanes = str(total.ty.dtype), int(total.ty.dtype.lanes)
        if self.instruction == "widening":
            return total + tirx.Cast(kind, right) * left
        words = tirx.reinterpret(str(right.ty.dtype), left)
        if self.instruction == "vnni":
            return tirx.call_llvm_pure_intrin(kind, f"llvm.x86.avx512.vpdpbusd.{lanes * 32}", total, words, right)
        if self.instruction == "sdot":
            return tirx.call_llvm_pure_intrin(kind, "llvm.aarch64.neon.sdot.v4i32.v16i8", total, words, right)
        return total + tirx.call_llvm_pure_intrin(kind, PAIR_PRODUCTS[lanes], words, right)


def _range(dtype: str) -> tuple[int, int]:
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def byte_dot(machine: Machine) -> IntegerDot | None:
    """Return the machine's instruction for bytes; None if it has none."""
    if machine.integer_dot == "vnni":
        return IntegerDot("vnni", 4, "uint8", "int8")
    if machine.integer_dot == "sdot":
        return IntegerDot("sdot", 4, "int8", "int8")
    return None


def word_dot(machine: Machine) -> IntegerDot:
    """Return the machine's instruction for 16 bits, which hold any byte less its zero point."""
    if machine.multiplies_by_lane:
        return IntegerDot("widening", 1, "int16", "int16")
    return IntegerDot("pairs", 2, "int16", "int16")


def dot_named(instruction: str, machine: Machine) -> IntegerDot:
    """Return one of the machine's instructions by its name."""
    fast = byte_dot(machine)
    return fast if fast and fast.instruction == instruction else word_dot(machine)
