"""The shell of sequential models: its losses over samples, and what they draw."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lrdgraph.batch import Batch, training_batch, training_windows
from lrdgraph.errors import ConfigError
from lrdgraph.models.registry import build_model
from lrdgraph.nn.losses import sample_loss
from tests.models import shop
from tests.models.cases import JOINT, TINY
from tests.models.test_contract import walks


def test_negatives_are_any_trained_items_but_the_target() -> None:
    popularity = torch.zeros(25)
    popularity[[2, 5, 9, 24]] = 1
    values = TINY | {"loss": "bpr", "num_negatives": 3}
    model = build_model("sasrec", replace(shop.inputs(), popularity=popularity), values)
    target = torch.tensor([2, 5, 9, 24]).repeat(5_000)
    drawn = model.negatives(target)
    assert drawn.shape == (20_000, 3)
    for item in (2, 5, 9, 24):
        values, counts = drawn[target == item].unique(return_counts=True)
        assert values.tolist() == [other for other in (2, 5, 9, 24) if other != item]
        assert (counts / counts.sum()).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_every_position_and_step_draws_anew() -> None:
    model = build_model("sasrec", shop.inputs(), TINY | {"loss": "bpr", "num_negatives": 8})
    target = torch.full((2,), 3)
    first, second = model.negatives(target), model.negatives(target)
    assert first[0].tolist() != first[1].tolist()
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("name", ["sasrec", "lrdgraph"])
@pytest.mark.parametrize("loss", ["bce", "gbce", "bpr", "sampled-cross-entropy"])
def test_a_sampled_loss_is_that_of_the_scores_of_what_was_drawn(
    name: str, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the flagship they hold the evidence of its edges too."""
    parts, inputs = walks(shuffled=False)
    sequences = parts.training()
    batch = training_batch(sequences, *training_windows(sequences, 5), 5)
    assert batch.target is not None
    assert batch.target.shape == (60, 3)
    values = {"loss": loss, "num_negatives": 4, "calibration": 0.6, "time": "request", "trend": True}
    model = build_model(name, inputs, (JOINT if name == "lrdgraph" else TINY) | values).eval()
    model.position = None  # counted from the end of a window, so not that of a history cut short
    drawn = torch.tensor([2, 7, 11, 20])
    monkeypatch.setattr(model, "negatives", lambda target: drawn.expand(len(target), 4))
    scores = []
    for row, column in batch.target.nonzero().tolist():
        seen = {key: getattr(batch, key)[row : row + 1, : column + 1] for key in ("history", "history_time", "moment")}
        items = torch.cat([batch.target[row, column].view(1), drawn])
        scores.append(model.score(Batch(batch.user[row : row + 1], **seen), items)[0])
    expected = sample_loss(loss, torch.stack(scores), num_items=20, calibration=0.6)
    torch.testing.assert_close(model.loss(batch)["recommendation"], expected.detach())


def test_too_few_items_to_draw_from_are_told() -> None:
    with pytest.raises(ConfigError, match="'sasrec' draws 24 negatives, but 12 items have training events; lower"):
        build_model("sasrec", shop.inputs(), {"loss": "gbce", "num_negatives": 24})
    with pytest.raises(ConfigError, match="'bpr', 'sampled-cross-entropy' or 'shared-cross-entropy', got"):
        build_model("sasrec", shop.inputs(), {"loss": "bcee"})
    assert build_model("sasrec", shop.inputs(), {"num_negatives": 1_000}).settings.loss == "cross-entropy"
