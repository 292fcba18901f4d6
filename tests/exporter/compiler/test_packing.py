"""Packed panels hold every number of a matrix where the index says it is."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.exporter.compiler.packing import Panels, repacked


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(1, 9), st.sampled_from([1, 4, 16]), st.integers(1, 4))
def test_each_number_is_where_its_panel_says(columns, depth, lanes, vectors):
    width = max(min(vectors * lanes, columns // lanes * lanes), lanes)
    panels = Panels(columns, depth, width, lanes)
    matrix = np.arange(1, depth * columns + 1).reshape(depth, columns)
    packed = panels.pack(matrix)
    assert packed.shape == (panels.size,)
    for segment in panels.segments():
        for number in range(segment.count):
            first = segment.first + number * segment.width
            start = segment.offset + number * segment.width * depth
            panel = packed[start : start + segment.width * depth].reshape(depth, segment.width)
            there = matrix[:, first : first + segment.width]
            assert (panel[:, : there.shape[1]] == there).all() and not panel[:, there.shape[1] :].any()


def test_columns_that_are_left_over_overlap_their_neighbours():
    whole, narrow = Panels(columns=197, depth=8, width=64, lanes=16).segments()
    assert (whole.first, whole.count, narrow.first, narrow.width) == (0, 3, 181, 16)


def test_fewer_columns_than_a_vector_are_padded():
    (only,) = Panels(columns=10, depth=8, width=16, lanes=16).segments()
    assert (only.first, only.width) == (0, 16)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(1, 9), st.sampled_from([1, 4, 16]), st.integers(1, 4), st.integers(1, 4))
def test_packing_anew_is_packing_the_matrix_that_wide(columns, depth, lanes, vectors, others):
    most = max(columns // lanes * lanes, lanes)
    old, new = (Panels(columns, depth, min(count * lanes, most), lanes) for count in (vectors, others))
    matrices = np.arange(1, 2 * depth * columns + 1).reshape(2, depth, columns)
    assert (repacked(old.pack(matrices), old, new) == new.pack(matrices)).all()


def test_groups_of_bytes_stay_together():
    old, new = (Panels(columns=48, depth=3, width=width, lanes=16) for width in (32, 16))
    groups = np.arange(3 * 48 * 4, dtype="int16").reshape(3, 48, 4)
    packed = [np.stack([panels.pack(groups[..., part]) for part in range(4)], axis=-1) for panels in (old, new)]
    assert (repacked(packed[0].reshape(-1), old, new) == packed[1].reshape(-1)).all()
