from __future__ import annotations

from shutil import which
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from lrdgraph.nn.native import COMPILERS
from lrdgraph.nn.relational_attention import RelationMixer, relational_attention

compiles = pytest.mark.skipif(not any(map(which, COMPILERS)), reason="there is no C++ compiler")


def test_against_a_loop() -> None:
    torch.manual_seed(0)
    history, query = torch.randn(3, 4, 5), torch.randn(3, 2, 3, 5)
    valid = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]).bool()
    weight = torch.rand(3, 1, 3, 4)
    found = relational_attention(history, valid, query, weight)
    for b in range(3):
        for c in range(2):
            for s in range(3):
                expected = torch.zeros(5)
                if valid[b].any():
                    events = history[b, valid[b]]
                    share = (events @ query[b, c, s]).softmax(0) * weight[b, 0, s, valid[b]]
                    expected = share @ events
                torch.testing.assert_close(found[b, c, s], expected)


def test_without_weights_shares_add_up_to_one() -> None:
    history = torch.ones(2, 3, 4)
    valid = torch.ones(2, 3, dtype=torch.bool)
    torch.testing.assert_close(relational_attention(history, valid, torch.randn(2, 5, 6, 4)), torch.ones(2, 5, 6, 4))


def test_a_history_without_events_has_a_finite_gradient() -> None:
    history = torch.randn(1, 3, 4, requires_grad=True)
    relational_attention(history, torch.zeros(1, 3, dtype=torch.bool), torch.randn(1, 1, 2, 4)).sum().backward()
    assert history.grad is not None
    assert torch.equal(history.grad, torch.zeros(1, 3, 4))


def test_the_mixer_is_torchs_own_attention() -> None:
    torch.manual_seed(0)
    mixer = RelationMixer(8, 3, 2).double()
    x = torch.randn(2, 3, 5, 8, dtype=torch.double)
    theirs = nn.MultiheadAttention(8, 2, bias=False, batch_first=True).double()
    theirs.in_proj_weight = mixer.attend.weight
    theirs.out_proj.weight = nn.Parameter(torch.eye(8, dtype=torch.double))
    expected = x.view(6, 5, 8)
    for _ in range(3):
        out, _ = theirs(expected, expected, expected)
        expected = mixer.norm(expected + mixer.outer(torch.relu(mixer.inner(out))))
    torch.testing.assert_close(mixer(x), expected.mean(1).view(2, 3, 8))
    mixer.pooling = "max"
    torch.testing.assert_close(mixer(x), expected.amax(1).view(2, 3, 8))


def sharp() -> tuple[RelationMixer, Tensor]:
    """A layer of large logits, and sequences for it."""
    torch.manual_seed(0)
    mixer = RelationMixer(8, 1, 2)
    with torch.no_grad():
        mixer.attend.weight.mul_(60)
    return mixer, torch.randn(4, 5, 8)


def test_large_logits_take_the_careful_path_and_agree() -> None:
    mixer, x = sharp()
    exact = RelationMixer(8, 1, 2).double()
    exact.load_state_dict({name: tensor.double() for name, tensor in mixer.state_dict().items()})
    q, k, _ = mixer.attend(x).detach().chunk(3, dim=-1)
    assert float((q @ k.mT).abs().max()) > 200
    torch.testing.assert_close(mixer(x).double(), exact(x.double()), rtol=1e-3, atol=1e-4)


@compiles
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_compiled_layers_give_the_same_numbers(pooling: Literal["average", "max"]) -> None:
    torch.manual_seed(0)
    mixer, x, weight = RelationMixer(16, 2, 2, pooling=pooling), torch.randn(3, 5, 5, 16), torch.randn(3, 5, 16)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.7)

    def found() -> list[Tensor]:
        leaf = x.clone().requires_grad_()
        out = mixer(leaf)
        return [out, *torch.autograd.grad((out * weight).sum(), [leaf, *mixer.parameters()])]

    plain, names = found(), mixer.state_dict().keys()
    mixer.compile()
    assert mixer.state_dict().keys() == names
    compiled = found()
    assert not torch.equal(compiled[1], plain[1])  # other sums, hence other last bits: it did go another way
    for got, expected in zip(compiled, plain, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        assert torch.equal(mixer(x), compiled[0])
        assert torch.equal(mixer(x[:0]), compiled[0][:0])


@compiles
def test_compiled_layers_drop_out_in_training_alone_and_a_seed_decides() -> None:
    torch.manual_seed(0)
    mixer, x = RelationMixer(8, 2, 2, dropout=0.5), torch.randn(20, 5, 8)
    mixer.compile()
    torch.manual_seed(1)
    first, second = mixer(x), mixer(x)
    assert not torch.allclose(first, second)
    torch.manual_seed(1)
    assert torch.equal(mixer(x), first)
    assert torch.equal(mixer.eval()(x), mixer(x))


@compiles
@pytest.mark.parametrize(("channels", "layers"), [(12, 1), (8, 0)])
def test_what_the_compiled_layers_do_not_take_stays_as_it_is(channels: int, layers: int) -> None:
    torch.manual_seed(0)
    mixer, x = RelationMixer(channels, layers, 2), torch.randn(4, 3, channels)
    expected = mixer(x)
    mixer.compile()
    assert torch.equal(mixer(x), expected)


@compiles
def test_compiled_layers_are_left_where_the_model_becomes_double() -> None:
    torch.manual_seed(0)
    mixer, x = RelationMixer(8, 2, 2), torch.randn(4, 3, 8, dtype=torch.double)
    expected = mixer.double()(x)
    mixer.float().compile()
    assert torch.equal(mixer.double()(x), expected)


@compiles
def test_compiled_layers_keep_their_precision_under_autocast() -> None:
    torch.manual_seed(0)
    mixer, x = RelationMixer(8, 2, 2), torch.randn(6, 5, 8)
    mixer.compile()
    exact = mixer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mixer(x), exact)
        assert torch.equal(mixer(x.bfloat16()), mixer(x.bfloat16().float()))


@compiles
def test_compiled_layers_take_large_logits() -> None:
    mixer, x = sharp()
    expected = mixer(x)
    mixer.compile()
    torch.testing.assert_close(mixer(x), expected, rtol=1e-3, atol=1e-4)


def test_gradients_in_double_precision() -> None:
    torch.manual_seed(0)
    mixer = RelationMixer(4, 2, 2).double()
    x = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(mixer, (x,))
    weights = dict(mixer.named_parameters())
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(mixer, {**weights, "attend.weight": w}, (x,)), (mixer.attend.weight,)
    )
