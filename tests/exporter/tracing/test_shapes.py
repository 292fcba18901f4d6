"""Shapes told without torch are those that torch tells."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from hwloop.exporter.tracing.shapes import SHAPES

SMALL = st.integers(1, 3)
PAIR = st.tuples(SMALL, SMALL)


@given(
    side=st.tuples(st.integers(7, 12), st.integers(7, 12)),
    kernel=PAIR,
    stride=st.one_of(SMALL, PAIR),
    padding=st.one_of(st.integers(0, 3), PAIR, st.just("valid")),
    dilation=st.one_of(SMALL, PAIR),
    groups=SMALL,
)
def test_of_a_convolution(side, kernel, stride, padding, dilation, groups):
    x, weight = torch.empty(2, 2 * groups, *side), torch.empty(3 * groups, 2, *kernel)
    found = SHAPES[F.conv2d](x, weight, None, stride, padding, dilation, groups)
    assert found.shape == F.conv2d(x, weight, None, stride, padding, dilation, groups).shape
    assert found.device.type == "meta"


def test_a_convolution_of_other_channels_is_refused():
    with pytest.raises(RuntimeError, match="of 6 channels is given 4"):
        SHAPES[F.conv2d](torch.empty(1, 4, 8, 8), torch.empty(6, 3, 1, 1), groups=2)
