"""Groups of layers are rules of a policy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import UsageError
from hwloop.exporter.quantize.groups import Granularity, block_of, policy_groups
from hwloop.records import QuantPolicy, Scheme

LAYERS = ["patch", "encoder.0.attn.q", "encoder.0.ffn.fc1", "encoder.1.attn.q", "stages.0.1.conv1", "head.fc"]
PARTS = st.sampled_from(["encoder", "0", "1", "ffn", "fc1", "q", "12"])
NAMES = st.lists(PARTS, min_size=1, max_size=5).map(".".join)


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        ("encoder.0.ffn.fc1", "encoder.0"),
        ("stages.0.1.conv2", "stages.0.1"),
        ("decoder.3.heads.2.q", "decoder.3"),
        ("head.fc", "head"),
        ("patch", "patch"),
        ("layers.4", "layers.4"),
    ],
)
def test_a_block_ends_with_its_number(layer, block):
    assert block_of(layer) == block


def test_layers_are_grouped_as_finely_as_asked():
    assert policy_groups(LAYERS, "layer") == {layer: [layer] for layer in LAYERS}
    assert list(policy_groups(LAYERS, "block")) == ["patch", "encoder.0", "encoder.1", "stages.0.1", "head"]
    assert policy_groups(LAYERS, Granularity.MODEL) == {"*": LAYERS}


@given(st.lists(NAMES, min_size=1, unique=True), st.sampled_from(list(Granularity)), st.data())
def test_a_scheme_for_each_group_is_a_policy_that_gives_it_to_the_groups_layers(layers, granularity, data):
    groups = policy_groups(layers, granularity)
    assert sorted(layer for group in groups.values() for layer in group) == sorted(layers)
    chosen = {group: data.draw(st.sampled_from(list(Scheme))) for group in groups}
    resolved = QuantPolicy(chosen).resolved(layers)
    for group, members in groups.items():
        assert {resolved[member] for member in members} == {chosen[group]}


def test_an_unknown_granularity_is_told():
    with pytest.raises(UsageError, match="no granularity 'tensor'"):
        policy_groups(LAYERS, "tensor")
