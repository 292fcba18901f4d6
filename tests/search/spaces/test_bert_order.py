"""Heads and neurons by importance: the order is right, and the whole network computes what it did."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.search.spaces.bert import Bert, BertSizes
from hwloop.search.spaces.bert_order import by_importance, groups, norm_importance, taylor_importance

DEPTH, HEAD_WIDTH = 2, 8
SIZES = BertSizes.of(depth=DEPTH, heads=4, neurons=48, width=32, vocabulary=100, positions=16)
HEADS, NEURONS = groups(1, HEAD_WIDTH)
TOKENS = torch.randint(100, (4, 16), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def supernet():
    torch.manual_seed(0)
    return Bert(SIZES).eval()


def outputs(weights):
    network = Bert(SIZES).eval()
    network.load_state_dict(weights)
    with torch.no_grad():
        return network(TOKENS)


def loss_of(supernet, tokens):
    return lambda: torch.nn.functional.cross_entropy(supernet(tokens), torch.zeros(len(tokens), dtype=torch.int64))


def test_the_whole_network_computes_the_same_in_order_of_importance(supernet):
    weights = supernet.state_dict()
    ordered = by_importance(weights, DEPTH, HEAD_WIDTH)
    assert not torch.equal(ordered["layers.0.up.weight"], weights["layers.0.up.weight"])
    torch.testing.assert_close(outputs(ordered), outputs(weights))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(48)))
def test_any_order_computes_the_same(supernet, heads, neurons):
    scores = {
        group.name: torch.tensor(neurons if "ffn" in group.name else heads) for group in groups(DEPTH, HEAD_WIDTH)
    }
    weights = supernet.state_dict()
    torch.testing.assert_close(outputs(by_importance(weights, DEPTH, HEAD_WIDTH, scores)), outputs(weights))


def test_importance_by_norm_is_that_of_the_map_that_a_unit_adds(supernet):
    weights = supernet.state_dict()
    reads, writes = weights["layers.0.attention.v.weight"], weights["layers.0.attention.out.weight"]
    maps = [writes[:, at : at + HEAD_WIDTH] @ reads[at : at + HEAD_WIDTH] for at in range(0, 32, HEAD_WIDTH)]
    wanted = torch.stack([torch.linalg.matrix_norm(one) for one in maps]).double()
    torch.testing.assert_close(norm_importance(weights, HEADS), wanted, rtol=1e-5, atol=0)
    rows = weights["layers.0.up.weight"].norm(dim=1) * weights["layers.0.down.weight"].norm(dim=0)
    torch.testing.assert_close(norm_importance(weights, NEURONS), rows.double(), rtol=1e-5, atol=0)


def test_the_most_important_stand_first(supernet):
    ordered = by_importance(supernet.state_dict(), DEPTH, HEAD_WIDTH)
    for group in groups(DEPTH, HEAD_WIDTH):
        assert (norm_importance(ordered, group).diff() <= 1e-6).all()


def test_a_unit_that_writes_nothing_has_no_importance_on_data(supernet):
    weights = {name: value.clone() for name, value in supernet.state_dict().items()}
    weights["layers.1.attention.out.weight"][:, :HEAD_WIDTH] = 0
    weights["layers.0.down.weight"][:, 5] = 0
    network = Bert(SIZES).eval()
    network.load_state_dict(weights)
    found = taylor_importance(network, [loss_of(network, TOKENS[:1]), loss_of(network, TOKENS[1:2])])
    assert found["layers.1.heads"].argmin() == 0 and found["layers.1.heads"][0] == 0
    assert found["layers.0.ffn"][5] == 0 and (found["layers.0.ffn"] > 0).sum() == 47


def test_importance_on_data_is_the_slope_of_the_loss_when_a_unit_is_scaled(supernet):
    network = Bert(SIZES).double().eval()
    network.load_state_dict({name: value.double() for name, value in supernet.state_dict().items()})
    (found,) = [taylor_importance(network, [loss_of(network, TOKENS)])["layers.0.heads"]]
    step, writer = 1e-5, network.layers[0].attention.out.weight
    for head in range(4):
        columns = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
        with torch.no_grad():
            kept = writer[:, columns].clone()
            writer[:, columns] = kept * (1 + step)
            above = loss_of(network, TOKENS)()
            writer[:, columns] = kept * (1 - step)
            below = loss_of(network, TOKENS)()
            writer[:, columns] = kept
        assert abs(above - below) / (2 * step) == pytest.approx(float(found[head]), rel=1e-3)
