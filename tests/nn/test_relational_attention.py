from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import lrdgraph.nn.relational_attention as relational_attention_module
from lrdgraph.nn.relational_attention import BLOCK, RelationMixer, block_sizes, relational_attention
from lrdgraph.nn.threads import over_blocks

RECOMPILATIONS = 12
"""More than the compiler keeps of one function."""


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


@pytest.mark.parametrize(("pooling", "backend"), [("average", "eager"), ("max", "eager"), ("average", "inductor")])
def test_compiled_layers_give_the_same_numbers(pooling: Literal["average", "max"], backend: str) -> None:
    if backend == "inductor" and shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler")
    torch.manual_seed(0)
    mixer = RelationMixer(8, 2, 2, pooling=pooling)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    x = torch.randn(3, BLOCK // 2, 5, 8)  # one block and a half, which is a size of its own in training

    def found() -> list[Tensor]:
        leaf = x.clone().requires_grad_()
        out = mixer(leaf)
        return [out, *torch.autograd.grad((out * weight).sum(), [leaf, *mixer.parameters()])]

    weight = torch.randn(3, BLOCK // 2, 8)
    plain, names = found(), mixer.state_dict().keys()
    mixer.compile(backend=backend)
    assert mixer.state_dict().keys() == names
    for got, expected in zip(found(), plain, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(mixer(x), plain[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mixer(x[:1, :2]), plain[0][:1, :2], rtol=1e-4, atol=1e-5)


@given(st.integers(1, 20 * BLOCK), st.integers(1, 16), st.booleans())
def test_blocks_hold_all_sequences_and_little_else(number: int, threads: int, halves: bool) -> None:
    sizes = block_sizes(number, threads, halves=halves)
    assert set(sizes) <= ({BLOCK, BLOCK // 2} if halves else {BLOCK})
    assert 0 <= sum(sizes) - number < (BLOCK // 2 if halves else BLOCK)
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) - sizes.count(BLOCK // 2) // 2 <= -(-number // BLOCK)


def test_blocks_that_are_too_few_for_all_threads_are_halved() -> None:
    half = BLOCK // 2
    assert block_sizes(7 * BLOCK, 1, halves=True) == [BLOCK] * 7
    assert block_sizes(7 * BLOCK, 2, halves=True) == [BLOCK] * 6 + [half] * 2
    assert block_sizes(7 * BLOCK, 2, halves=False) == [BLOCK] * 7
    assert block_sizes(8 * BLOCK, 2, halves=True) == [BLOCK] * 8
    assert block_sizes(7 * BLOCK, 4, halves=True) == [BLOCK] * 7  # three of four threads have another whole one
    assert block_sizes(7 * BLOCK + 1, 2, halves=True) == [BLOCK] * 7 + [half]
    assert block_sizes(7 * BLOCK + half + 1, 2, halves=True) == [BLOCK] * 8


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.usefixtures("two_threads")
def test_compiled_layers_are_shared_among_threads_and_a_seed_decides(
    monkeypatch: pytest.MonkeyPatch, dropout: float
) -> None:
    torch.manual_seed(0)
    mixer = RelationMixer(8, 2, 2, dropout)
    x, calls = torch.randn(3 * BLOCK, 5, 8), []

    def spied(*args: Any, in_turn: bool) -> Tensor:
        calls.append(in_turn)
        return over_blocks(*args, in_turn=in_turn)

    def found() -> list[Tensor]:
        torch.manual_seed(1)
        leaf = x.clone().requires_grad_()
        out = mixer(leaf)
        return [out, *torch.autograd.grad(out.square().sum(), [leaf, *mixer.parameters()])]

    monkeypatch.setattr(relational_attention_module, "over_blocks", spied)
    plain = found()
    mixer.compile(backend="eager")
    each = [found() for _ in range(3)]
    assert calls == [True, bool(dropout), bool(dropout)]  # compiled in turn; random numbers are drawn in turn always
    for again, thrice in zip(each[1], each[2], strict=True):
        assert torch.equal(again, thrice)
    for tensors in (*zip(each[0], each[1], strict=True), *([] if dropout else zip(each[1], plain, strict=True))):
        torch.testing.assert_close(*tensors, rtol=1e-4, atol=1e-4)
    mixer.eval()
    with torch.no_grad():
        torch.testing.assert_close(mixer(x), mixer(x))
    assert calls[3:] == [True, False]


def test_compiled_layers_under_autocast_round_their_products_alone() -> None:
    torch.manual_seed(0)
    mixer, x = RelationMixer(8, 2, 2), torch.randn(6, 5, 8)
    exact = mixer.innermost(x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = mixer.innermost(x)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.02)


def test_many_models_of_one_process_are_compiled() -> None:
    compiled = []

    def count(graph: torch.fx.GraphModule, _: Sequence[Tensor]) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    for width in range(2, 2 + 2 * RECOMPILATIONS, 2):
        mixer, x = RelationMixer(width, 1, 2), torch.randn(3, 2, width)
        expected = mixer(x)
        mixer.compile(backend=count)
        torch.testing.assert_close(mixer(x), expected, rtol=1e-4, atol=1e-4)
    assert len(compiled) == RECOMPILATIONS


def test_compiled_layers_take_large_logits() -> None:
    mixer, x = sharp()
    torch.testing.assert_close(mixer.innermost(x), mixer(x), rtol=1e-3, atol=1e-4)


def test_gradients_in_double_precision() -> None:
    torch.manual_seed(0)
    mixer = RelationMixer(4, 2, 2).double()
    x = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(mixer, (x,))
    weights = dict(mixer.named_parameters())
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(mixer, {**weights, "attend.weight": w}, (x,)), (mixer.attend.weight,)
    )
