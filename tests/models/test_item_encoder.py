"""Item vectors: free part, text part, and which items have which."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.errors import ConfigError
from lrdgraph.models.item_encoder import ItemEncoder

COUNTS = torch.tensor([0.0, 3.0, 0.0, 1.0])
TEXT = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 2.0], [2.0, 5.0]])


def test_by_hand() -> None:
    encoder = ItemEncoder(COUNTS, TEXT, 3)
    x = encoder()
    mean, deviation = torch.tensor([2.0, 3.0]), torch.tensor([1.0, 3.0**0.5])
    for item in (1, 3):
        text = (TEXT[item] - mean) / (deviation * 2**0.5)
        torch.testing.assert_close(x[item], encoder.free.weight[item] + encoder.project.weight @ text)


def test_a_cold_item_has_its_text_alone_and_learns_no_free_vector() -> None:
    encoder = ItemEncoder(COUNTS, TEXT, 3)
    torch.testing.assert_close(encoder()[2], encoder.project.weight @ torch.tensor([0.5**0.5, -((1 / 6) ** 0.5)]))
    encoder().square().sum().backward()
    assert encoder.free.weight.grad.any(1).tolist() == [False, True, False, True]


@pytest.mark.parametrize(("text", "use_id"), [(TEXT, True), (TEXT, False), (None, True)])
def test_padding_is_zero_and_stays_so(text: torch.Tensor | None, use_id: bool) -> None:
    encoder = ItemEncoder(COUNTS, text, 3, use_id=use_id)
    assert encoder().shape == (4, 3)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.1)
    (encoder() - 1).square().sum().backward()
    optimizer.step()
    assert not encoder()[0].any()
    assert encoder()[1].any()


def test_text_is_brought_to_one_scale() -> None:
    text = torch.cat([torch.zeros(1, 8), torch.randn(500, 8) * torch.arange(1, 9) + 40])
    encoder = ItemEncoder(torch.ones(501), text, 8, use_id=False)
    with torch.no_grad():
        encoder.project.weight.copy_(torch.eye(8))
    x = encoder()[1:].detach()
    torch.testing.assert_close(x.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std(0), torch.full((8,), 8**-0.5))


def test_a_column_that_never_varies_gives_no_nan() -> None:
    text = torch.cat([torch.zeros(1, 2), torch.tensor([[1.0, 4.0], [2.0, 4.0]])])
    assert torch.isfinite(ItemEncoder(torch.ones(3), text, 4)()).all()


def test_dropout_acts_on_texts_in_training_alone() -> None:
    encoder = ItemEncoder(COUNTS, TEXT, 3, dropout=0.5).eval()
    assert torch.equal(encoder(), encoder())
    encoder.train()
    assert any(not torch.equal(encoder(), encoder()) for _ in range(9))
    assert not encoder()[0].any()


def test_one_item_has_a_vector() -> None:
    assert ItemEncoder(torch.tensor([0.0, 3.0]), torch.tensor([[0.0, 0.0], [1.0, 2.0]]), 4)().isfinite().all()


def test_an_item_of_which_nothing_is_known_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"neither text nor free vectors; set text or use_id\."):
        ItemEncoder(COUNTS, None, 3, use_id=False)
