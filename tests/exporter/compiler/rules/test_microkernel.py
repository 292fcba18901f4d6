"""Register tiles fit the registers and suit the shape."""

import pytest

from hwloop.exporter.compiler.machine import machine_for
from hwloop.exporter.compiler.rules.microkernel import best_rows, best_tile, tiles
from hwloop.records import Target

WIDE = machine_for(Target("x86_64-linux-gnu", "x86-64-v4"))
PI4 = machine_for(Target("aarch64-linux-gnu", "cortex-a72"))


@pytest.mark.parametrize("machine", [WIDE, PI4], ids=["avx512", "a72"])
def test_no_tile_needs_more_registers_than_there_are(machine):
    left = (lambda tile: tile.rows) if machine is PI4 else (lambda tile: 1)
    assert all(tile.sums + tile.vectors + left(tile) <= machine.vector_registers for tile in tiles(machine))


@pytest.mark.parametrize("rows", [32, 49, 64, 197])
def test_few_rows_are_computed_twice(rows):
    tile = best_tile(rows, 384, 384, WIDE)
    assert -(-rows // tile.rows) * tile.rows <= rows * 1.03


def test_a_tile_is_never_larger_than_the_product():
    assert best_tile(3, 20, 64, WIDE).rows <= 3
    assert best_tile(100, 20, 64, WIDE).vectors == 1


def test_rows_suit_a_width_that_is_given():
    assert best_rows(2, 4, WIDE) == 2
    assert 49 % best_rows(49, 2, WIDE) == 0
