"""BERT4Rec: what is hidden, what is told from where, and where the next event is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lrdgraph.errors import ConfigError
from lrdgraph.models.bert4rec import BERT4Rec
from lrdgraph.models.registry import build_model
from tests.models import shop
from tests.models.cases import TINY, lessons, requests
from tests.models.test_neighbours import histories


def made(**settings: object) -> BERT4Rec:
    torch.manual_seed(0)
    model = build_model("bert4rec", shop.inputs(), TINY | settings).eval()
    assert isinstance(model, BERT4Rec)
    return model


@pytest.mark.parametrize("length", [2, 5])
def test_what_is_hidden_is_what_is_to_be_told(length: int) -> None:
    model, batch = made(max_length=length), lessons()
    assert batch.target is not None
    events = torch.cat([batch.history, batch.target[:, -1:]], 1)[:, -length:]
    for _ in range(5):
        hidden = model.hide(batch)
        assert hidden.target is not None
        of_it = hidden.history == model.mark
        assert torch.equal(torch.where(of_it, hidden.target, hidden.history), events)
        assert torch.equal(of_it, hidden.target > 0)
        assert of_it.any(1).all()
        assert not (of_it & (events == 0)).any()
    times = torch.cat([batch.history_time, batch.moment[:, -1:]], 1)[:, -length:]
    assert torch.equal(hidden.moment, times)


def test_shares_of_what_is_hidden() -> None:
    rows = lessons()
    many = rows.rows(torch.arange(24).repeat(100))  # three events each
    share = made(hidden_share=0.4, last_share=0.0).hide(many).target
    assert share is not None
    # each with 0.4; the last also where chance hid nothing, in 0.6³ of the rows
    torch.testing.assert_close((share > 0).float().mean(0)[-3:], torch.tensor([0.4, 0.4, 0.616]), atol=0.03, rtol=0)
    alone = made(last_share=1.0).hide(many).target
    assert alone is not None
    assert (alone[:, -1] > 0).all()
    assert not alone[:, :-1].any()


def test_an_event_is_told_from_both_sides() -> None:
    batch = requests()
    other = batch.history.clone()
    other[:, -1] = 5  # which has training events, so that it has a vector
    for name, seen in (("bert4rec", True), ("sasrec", False)):
        torch.manual_seed(0)
        model = build_model(name, shop.inputs(), TINY).eval()
        with torch.no_grad():
            vectors = model.item_vectors()
            first, second = (model.encode(replace(batch, history=h), vectors) for h in (batch.history, other))
        assert torch.allclose(first[:, -2], second[:, -2]) != seen


def test_the_next_event_is_asked_for_at_the_last_place() -> None:
    """Of five events a model of four places reads three, and the fourth place is the hidden one."""
    model = made(max_length=4)
    with torch.no_grad():
        scores = model.score(histories([9, 1, 2, 3, 4]))
        torch.testing.assert_close(scores, model.score(histories([2, 3, 4])))
        assert not torch.allclose(scores, model.score(histories([3, 4])))
        asked = replace(histories([0, 2, 3, 4]), history=torch.tensor([[2, 3, 4, model.mark]]))
        query = model.encode(asked, model.item_vectors())[:, -1]
        torch.testing.assert_close(scores, query @ model.item_vectors().T + model.bias)


@pytest.mark.parametrize("values", [{"time": "request"}, {"loss": "shared-cross-entropy"}])
def test_what_it_cannot_do_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="reads no times and hides events of a whole catalogue"):
        made(**values)
    with pytest.raises(ConfigError, match="max_length"):
        made(max_length=1)
