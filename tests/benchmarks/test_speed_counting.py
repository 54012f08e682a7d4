"""Operations and bytes against numbers worked by hand, and against torch's own counter where that counts."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.ceiling import measure, product_rate, share, stream_rates
from benchmarks.speed.counting import Count, size
from lrdgraph.nn.sparse_products import PairProduct, Pattern, SparseProduct, mixture_product
from lrdgraph.nn.typed_product import TypedPattern, typed_product


def test_a_product_by_hand() -> None:
    left, right = torch.ones(2, 3), torch.ones(3, 5)
    with Count() as count:
        left @ right
    assert count.total.operations == 2 * 2 * 3 * 5
    assert count.total.moved == count.compulsory + 4 * 2 * 5 == 4 * (2 * 3 + 3 * 5 + 2 * 5)


def test_a_linear_layer_forward_and_backward() -> None:
    x, weight = torch.ones(7, 3), torch.ones(5, 3, requires_grad=True)
    with Count() as count:
        F.linear(x, weight).sum().backward()
    assert count.total.operations == 2 * (2 * 7 * 3 * 5), "forward and the gradient of the weight; x needs none"


def test_views_allocations_and_expanded_dimensions_move_nothing() -> None:
    x = torch.ones(4, 6)
    with Count() as count:
        x.T[1:].reshape(5, 4).unsqueeze(0).detach()
        torch.empty(1000)
    assert count.total.moved == 0
    assert size(x[:1].expand(100, 6)) == 4 * 6
    with Count() as count:
        x.T.contiguous()
    assert count.total.moved == 2 * 4 * 24


def test_in_place_and_gathered() -> None:
    x, y, table = torch.ones(8), torch.ones(8), torch.ones(1000, 4)
    with Count() as count:
        x.add_(y)
    assert count.total.moved == 4 * 3 * 8, "both are read, one is written"
    assert count.compulsory == 4 * 3 * 8, "what was there before is read, and written again"
    with Count() as count:
        x.copy_(y)
    assert count.total.moved == 4 * 2 * 8
    with Count() as count:
        table.index_select(0, torch.tensor([3, 3]))
    assert count.by_operator["index_select"].moved == 8 * 2 + 2 * 4 * 2 * 4, "the index, and two rows twice"


def test_what_is_made_within_is_not_compulsory() -> None:
    x = torch.ones(10)
    with Count() as count:
        x.mul(2).mul(3).mul(4)
    assert count.total.moved == 3 * 2 * 40
    assert count.compulsory == 40


def test_sparse_products_by_formula() -> None:
    random = torch.Generator().manual_seed(0)
    rows, columns, entries, width, mixed = 9, 11, 40, 6, 3
    row, column = (torch.randint(n, (entries,), generator=random) for n in (rows, columns))
    pattern = Pattern.of(row, column, rows, columns)
    table = torch.ones(columns, width, requires_grad=True)
    values = torch.ones(entries, requires_grad=True)
    with Count() as count:
        SparseProduct.apply(values, table, pattern)
    assert count.total.operations == 2 * entries * width
    mixture, z = torch.ones(entries, mixed, requires_grad=True), torch.ones(mixed, width, requires_grad=True)
    with Count() as count:
        out = mixture_product(mixture, table, z, pattern)
    assert count.total.operations == 2 * entries * width * mixed, "our own operators are looked into"
    with Count() as count:
        out.sum().backward()
    # of the table as many sparse products again; of the mixture and of z one dense product over entries each
    assert count.total.operations == 3 * (2 * entries * width * mixed)
    left, weight = torch.ones(rows, width, requires_grad=True), torch.ones(mixed, width, requires_grad=True)
    with Count() as count:
        PairProduct.apply(left, table, weight, pattern).sum().backward()
    assert count.total.operations == (1 + 2 + 1) * (2 * entries * width * mixed)


def test_a_typed_product_and_gradients_are_as_without_counting() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(11, 4, generator=random, requires_grad=True)
    row, column, kind = (torch.randint(n, (30,), generator=random) for n in (9, 11, 2))
    pattern = TypedPattern.of(row, column, kind, 9, 11)
    z, weight = torch.ones(2, 4), torch.ones(30)
    typed_product(x, z, weight, pattern).sum().backward()
    plain, x.grad = x.grad, None
    with Count() as count:
        typed_product(x, z, weight, pattern).sum().backward()
    assert torch.equal(plain, x.grad)  # type: ignore[arg-type]
    assert count.by_operator["index_select"].calls > 0


def test_dense_models_count_as_torch_counts_them() -> None:
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    x = torch.randn(3, 5, 16)
    with Count() as count:
        layer(x).sum().backward()
    with FlopCounterMode(display=False) as theirs:
        layer(x).sum().backward()
    attention = sum(w.operations for name, w in count.by_operator.items() if "attention" in name)
    assert count.total.operations - attention == theirs.get_total_flops()
    # two products forward, five backward, for each of 3 × 2 heads of width 8; torch's counter knows it on a GPU alone
    assert attention == (2 + 5) * (2 * (3 * 2) * 5 * 5 * 8)


def test_share_names_what_binds() -> None:
    top = {"flops": 100.0, "bytes": 10.0}
    assert share(100, 5, 2.0, top) == (0.5, "products")
    assert share(100, 20, 4.0, top) == (0.5, "memory")


def test_ceilings_are_rates() -> None:
    assert product_rate(32, 32, 32, repeats=1, seconds=0.001) > 0
    assert all(rate > 0 for rate in stream_rates(1 << 20, repeats=1).values())


@pytest.mark.parametrize("key", ["flops", "bytes"])
def test_the_ceiling_is_the_best_that_was_measured(key: str) -> None:
    found = measure(repeats=1, array_bytes=1 << 20, seconds=0.001)
    listed = found["gflops" if key == "flops" else "gigabytes"]
    assert found[key] / 1e9 == pytest.approx(max(listed.values()), abs=0.01)
