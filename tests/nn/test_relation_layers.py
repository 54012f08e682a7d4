from __future__ import annotations

from collections.abc import Iterator
from shutil import which

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.nn.native import COMPILERS
from lrdgraph.nn.relation_layers import LANES, load_relation_layers, relation_layers
from lrdgraph.nn.subnormal import subnormals_flushed

EPS = 1e-5
Setting = tuple[int, int, int, int, int]  # n, S, D, heads, layers


@pytest.fixture(autouse=True, scope="module")
def loaded() -> None:
    if not any(map(which, COMPILERS)):
        pytest.skip("there is no C++ compiler")
    load_relation_layers()


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def reference(x: Tensor, weights: list[Tensor], layers: int, heads: int, keep: Tensor | None = None) -> Tensor:
    """A loop over sequences, layers and heads; ``keep`` is ``(n, layers, S, D)``."""
    attend, inner, inner_bias, outer, outer_bias, scale, shift = weights
    width = x.size(-1) // heads
    found = []
    for at, sequence in enumerate(x):
        for layer in range(layers):
            q, k, v = (sequence @ attend.T).chunk(3, dim=-1)
            read = []
            for head in range(heads):
                own = slice(head * width, (head + 1) * width)
                read.append((q[:, own] @ k[:, own].T / width**0.5).softmax(-1) @ v[:, own])
            out = torch.relu(torch.cat(read, -1) @ inner.T + inner_bias) @ outer.T + outer_bias
            out = out if keep is None else out * keep[at, layer]
            sequence = F.layer_norm(sequence + out, scale.shape, scale, shift, EPS)
        found.append(sequence)
    return torch.stack(found)


def drawn(setting: Setting, dtype: torch.dtype = torch.float32) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(sum(setting))
    n, s, d, *_ = setting
    shapes = ((3 * d, d), (d, d), (d,), (d, d), (d,), (d,), (d,))
    weights = [torch.randn(*shape, dtype=dtype) * d**-0.5 for shape in shapes]
    return torch.randn(n, s, d, dtype=dtype), weights


def rows(tiles: Tensor, n: int) -> Tensor:
    """``(n, S, D)`` of ``(T, D, S, LANES)``."""
    return tiles.permute(0, 3, 2, 1).reshape(-1, tiles.size(2), tiles.size(1))[:n]


def with_gradients(out: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    above = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return [out, *torch.autograd.grad(out, leaves, above)]


SETTINGS = st.tuples(
    st.integers(1, 20),
    st.integers(1, 15),
    st.sampled_from([8, 16, 24]),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 3),
)


@settings(max_examples=40, deadline=None)
@given(SETTINGS)
def test_the_numbers_and_gradients_are_those_of_a_loop(setting: Setting) -> None:
    n, _, _, heads, layers = setting
    x, weights = drawn(setting)
    leaves = [tensor.requires_grad_() for tensor in (x, *weights)]
    found = with_gradients(rows(relation_layers(x, weights, layers, heads, EPS), n), leaves)
    exact = [tensor.detach().double().requires_grad_() for tensor in leaves]
    expected = with_gradients(reference(exact[0], exact[1:], layers, heads), exact)
    for got, right in zip(found, expected, strict=True):
        torch.testing.assert_close(got.double(), right, rtol=1e-3, atol=2e-5 * float(right.detach().abs().max() + 1))


def test_sizes_of_published_models_are_as_exact_as_single_precision_is() -> None:
    setting = (19, 13, 64, 4, 5)
    x, weights = drawn(setting)
    exact = reference(x.double(), [weight.double() for weight in weights], 5, 4)
    found = rows(relation_layers(x, weights, 5, 4, EPS), 19)
    plain = reference(x, weights, 5, 4)
    assert float((found - exact).abs().max()) < 3 * float((plain - exact).abs().max())


def test_dropout_scales_what_it_keeps_forwards_and_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = n, s, d, heads, layers = (11, 3, 8, 2, 2)
    x, weights = drawn(setting)
    leaves = [tensor.requires_grad_() for tensor in (x, *weights)]
    masks = []

    def spied(ones: Tensor, share: float) -> Tensor:
        assert bool((ones == 1).all())
        masks.append((torch.rand_like(ones) >= share) / (1 - share))
        return masks[0]

    monkeypatch.setattr(F, "dropout", spied)
    found = with_gradients(rows(relation_layers(x, weights, layers, heads, EPS, dropout=0.25), n), leaves)
    (mask,) = masks  # (T, layers, D, S, LANES)
    keep = mask.permute(0, 4, 1, 3, 2).reshape(-1, layers, s, d)
    assert 0 < int((keep == 0).sum()) < keep.numel() / 2
    for got, right in zip(found, with_gradients(reference(x, weights, layers, heads, keep), leaves), strict=True):
        torch.testing.assert_close(got, right, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("two_threads")
def test_threads_share_the_tiles_and_do_not_change_what_comes_out() -> None:
    setting = (7 * LANES + 3, 5, 8, 2, 2)
    x, weights = drawn(setting)
    leaves = [tensor.requires_grad_() for tensor in (x, *weights)]

    def found() -> list[Tensor]:
        return with_gradients(relation_layers(x, weights, 2, 2, EPS), leaves)

    first = found()
    assert all(torch.equal(a, b) for _ in range(5) for a, b in zip(found(), first, strict=True))
    torch.set_num_threads(1)
    alone = found()
    assert torch.equal(alone[0], first[0])
    for a, b in zip(alone, first, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("two_threads")
def test_every_thread_counts_subnormal_numbers_as_the_caller_does() -> None:
    x, weights = torch.zeros(4 * LANES, 1, 8), [torch.zeros(shape) for shape in ((24, 8), (8, 8), 8, (8, 8), 8, 8)]
    weights.append(torch.full((8,), torch.finfo(torch.float32).tiny))
    weights[5] += 0.5  # what is normalised is 0, so that the shift alone comes out
    half = [*weights[:6], weights[6] / 2]
    kept = relation_layers(x, half, 1, 1, EPS)
    with subnormals_flushed():
        assert not relation_layers(x, half, 1, 1, EPS).double().any()
    assert kept.double().all()
    assert torch.equal(relation_layers(x, half, 1, 1, EPS), kept)


def test_without_gradients_nothing_is_kept_and_the_numbers_are_the_same() -> None:
    x, weights = drawn((9, 4, 8, 2, 2))
    with torch.inference_mode():
        found = relation_layers(x, weights, 2, 2, EPS)
    assert torch.equal(found, relation_layers(x.requires_grad_(), weights, 2, 2, EPS))


def test_numbers_that_are_none_come_out_as_none() -> None:
    x, weights = drawn((9, 4, 8, 2, 1))
    x[3, 1, 2] = torch.nan
    out = rows(relation_layers(x, weights, 1, 2, EPS), 9)
    assert out[3].isnan().any()
    assert not out[[0, 1, 2, 4, 5, 6, 7, 8]].isnan().any()


@pytest.mark.parametrize("which_weight", range(7))
def test_a_weight_that_is_no_number_is_not_hidden(which_weight: int) -> None:
    x, weights = drawn((9, 4, 8, 2, 1))
    weights[which_weight].view(-1)[3] = torch.nan
    assert relation_layers(x, weights, 1, 2, EPS).isnan().any()


def test_tensors_that_do_not_fit_are_refused() -> None:
    x, weights = drawn((9, 4, 8, 2, 1))
    with pytest.raises(RuntimeError, match="float32"):
        relation_layers(x, [weight.double() for weight in weights], 1, 2, EPS)
    with pytest.raises(RuntimeError, match="float32"):
        relation_layers(x.double(), weights, 1, 2, EPS)
    with pytest.raises(RuntimeError, match="multiple of 8"):
        relation_layers(x[:, :, :6], weights, 1, 2, EPS)
    with pytest.raises(RuntimeError, match="heads"):
        relation_layers(x, weights, 1, 3, EPS)
    with pytest.raises(RuntimeError, match="shape"):
        relation_layers(x, [*weights[:5], weights[5][:4], weights[6]], 1, 2, EPS)
