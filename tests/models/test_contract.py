"""What every recommender promises, whichever it is; one that is registered and not listed here fails."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from lrdgraph.batch import Batch
from lrdgraph.config import to_dict
from lrdgraph.corpus import Corpus, Triples
from lrdgraph.errors import ConfigError
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.experiment.settings import experiment_settings
from lrdgraph.graph.build import build_graph
from lrdgraph.models import registry
from lrdgraph.models.base import Recommender, pick
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.registry import build_model, model_class, model_names, register
from lrdgraph.splits import Split, split
from lrdgraph.training.checkpoint import load_weights, save_checkpoint
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.trainer import train, validate
from lrdgraph.vocabulary import Vocabulary
from tests.models import shop
from tests.models.cases import CASES, PERSONAL, SUCCESSION, TRAINED, every, lessons, plain, requests, row_of, trained


@pytest.fixture
def model(name: str, values: dict[str, Any]) -> Recommender:
    """Off its initial weights, so that no part is zero by chance of initialisation."""
    made = build_model(name, shop.inputs(), values).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


def test_every_model_is_listed() -> None:
    ours = {name for name in model_names() if model_class(name).__module__.startswith("lrdgraph.")}
    assert ours == set(CASES)
    assert {case.values[0] for case in TRAINED} == {name for name in ours if model_class(name).trainable}


@every
def test_candidates_in_every_form_have_the_same_scores(model: Recommender) -> None:
    batch = requests()
    with torch.no_grad():
        everything = model.score(batch)
        assert everything.shape == (12, 25)
        assert torch.isfinite(everything[:, 1:]).all()
        shared = torch.tensor([7, 3, 3, 24, 1])
        torch.testing.assert_close(model.score(batch, shared), everything[:, shared])
        own = torch.randint(1, 25, (12, 6))
        own[:, 1] = own[:, 0]
        torch.testing.assert_close(model.score(batch, own), everything.gather(1, own))


@every
def test_a_batch_is_its_rows(model: Recommender) -> None:
    batch = requests()
    with torch.no_grad():
        together = model.score(batch)
        for row in (0, 5, 11):
            alone = model.score(row_of(batch, row))
            torch.testing.assert_close(alone[0, 1:], together[row, 1:], rtol=1e-5, atol=1e-5)


@every
def test_padding_on_the_left_changes_nothing(model: Recommender) -> None:
    with torch.no_grad():
        long, short = model.score(requests(5)), model.score(requests(3))  # every history has three events
    torch.testing.assert_close(long[:, 1:], short[:, 1:], rtol=1e-5, atol=1e-5)


@every
def test_scores_are_the_same_again_with_and_without_gradients(model: Recommender) -> None:
    batch = requests()
    with torch.no_grad():
        first, second = model.score(batch), model.score(batch)
    assert torch.equal(first, second)
    torch.testing.assert_close(model.score(batch).detach(), first)


@trained
def test_scores_are_those_of_the_weights_that_are_loaded(model: Recommender, name: str, values: dict[str, Any]) -> None:
    batch = requests()
    other = build_model(name, shop.inputs(), values).eval()
    with torch.no_grad():
        other.score(batch)  # what is kept for scoring is now that of the first weights
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.score(batch), model.score(batch))


@every
def test_scores_survive_another_precision(model: Recommender) -> None:
    batch = requests()
    with torch.no_grad():
        single = model.score(batch)[:, 1:]
        double = model.double().score(batch)[:, 1:]
    torch.testing.assert_close(double, single, rtol=1e-3, atol=1e-3, check_dtype=False)


@every
def test_an_empty_history_has_finite_scores(model: Recommender) -> None:
    batch = requests()
    empty = torch.zeros_like(batch.history)
    nothing = replace(batch, history=empty, history_time=empty, moment=empty)
    with torch.no_grad():
        assert torch.isfinite(model.score(nothing)[:, 1:]).all()


@every
def test_only_a_model_that_reads_the_moment_of_a_request_scores_by_it(model: Recommender) -> None:
    batch = requests()
    later = batch.moment.clone()
    later[:, -1] += 400 * 86_400
    with torch.no_grad():
        same = torch.equal(model.score(replace(batch, moment=later)), model.score(batch))
    assert same != model.reads_moment


@every
def test_what_stands_at_padding_is_never_read(model: Recommender) -> None:
    batch = requests()
    blank = batch.history == 0
    assert blank.any()
    noisy = replace(batch, history_time=batch.history_time + blank * 10**8, moment=batch.moment + blank * 10**8)
    with torch.no_grad():
        torch.testing.assert_close(model.score(noisy), model.score(batch))


@trained
def test_a_gradient_reaches_every_parameter(model: Recommender, values: dict[str, Any]) -> None:
    model.train()
    terms = model.loss(lessons())
    assert {"total", "recommendation"} <= terms.keys()
    assert all(value.dim() == 0 and torch.isfinite(value) for value in terms.values())
    assert [name for name, value in terms.items() if value.requires_grad] == ["total"]
    terms["total"].backward()
    learns = {name: p for name, p in model.named_parameters() if p.requires_grad}
    without = {name for name, p in learns.items() if p.grad is None or not p.grad.any()}
    # attribute values speak through convolutions (and the knowledge loss) alone
    assert without == ({"attribute_vectors"} if values.get("graph_layers") == 0 else set())
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@trained
def test_a_step_of_training_changes_the_scores(model: Recommender) -> None:
    batch = requests()
    with torch.no_grad():
        before = model.score(batch)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    model.loss(lessons())["total"].backward()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        assert (model.score(batch) - before).abs().max() > 1e-3


@trained
def test_dropout_acts_in_training_alone(model: Recommender) -> None:
    model.train()
    assert model.loss(lessons())["recommendation"] != model.loss(lessons())["recommendation"]


@plain
def test_what_cannot_be_trained_says_so(model: Recommender) -> None:
    if not model.trainable:
        assert not list(model.parameters())
        with pytest.raises(TypeError, match="has nothing to train"):
            model.loss(lessons())


@every
def test_weights_in_a_folder_give_the_same_scores(
    model: Recommender, name: str, values: dict[str, Any], tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "best", model.state_dict(), {})
    torch.manual_seed(99)
    again = build_model(name, shop.inputs(), values)
    load_weights(again, tmp_path / "best")
    batch = requests()
    with torch.no_grad():
        assert torch.equal(again.eval().score(batch), model.score(batch))


@plain
def test_settings(name: str, values: dict[str, Any]) -> None:
    cls = model_class(name)
    defaults = cls.Settings()  # every one has a default
    assert build_model(name, shop.inputs(), values).settings == replace(defaults, **values)
    assert experiment_settings({"model": {"name": name}}).model_values == to_dict(defaults)
    with pytest.raises(ConfigError, match="no setting 'hidden_chanels'"):
        build_model(name, shop.inputs(), {"hidden_chanels": 3})
    assert {f.name for f in fields(cls.Settings)} == set(to_dict(defaults))


@every
def test_repr_tells_class_size_and_settings(model: Recommender) -> None:
    text = repr(model)
    assert text.startswith(f"{type(model).__name__}(24 items, {model.num_parameters:,} parameters, ")
    assert repr(model.settings) in text


@plain
def test_the_longest_history_is_declared(model: Recommender) -> None:
    assert model.max_length >= 1
    with torch.no_grad():
        assert model.score(requests(model.max_length)).shape == (12, 25)


# What is planted: item a is always followed by item b.


def walks(shuffled: bool) -> tuple[Split, ModelInputs]:
    """60 people walk round one circle of 20 items, six steps from where they start; texts and graph say nothing.

    The control has the same items at the same times, dealt out to people anew.
    """
    rng = np.random.default_rng(3)
    circle = rng.permutation(20) + 1
    start = rng.integers(0, 20, 60)
    item = circle[(start[:, None] + np.arange(6)) % 20]
    if shuffled:
        item = np.stack([rng.permutation(20)[:6] + 1 for _ in range(60)])
    corpus = Corpus(
        name="walks",
        users=Vocabulary([f"u{n}" for n in range(60)], "user"),
        items=Vocabulary([f"i{n}" for n in range(20)]),
        user=np.repeat(np.arange(1, 61), 6),
        item=item.flatten(),
        time=np.tile(np.arange(6) * shop.DAY, 60),
        fields=pl.DataFrame(),
        triples=Triples(rng.integers(1, 21, 15), np.zeros(15, np.int64), np.arange(1, 16), ("near",)),
    )
    parts = split(corpus)
    vectors = rng.standard_normal((20, 8)).astype(np.float32)
    return parts, model_inputs(corpus, parts.training(), vectors, build_graph(corpus))


# of a training row of four events all places are learnt
LEARNT = {"bert4rec": CASES["bert4rec"]["plain"] | {"max_length": 4}}


@pytest.mark.parametrize("name", SUCCESSION)
def test_a_planted_succession_is_learned_and_a_shuffled_one_is_not(name: str) -> None:
    found = {}
    for shuffled in (False, True):
        parts, inputs = walks(shuffled)
        torch.manual_seed(0)
        model = build_model(name, inputs, LEARNT.get(name, CASES[name]["plain"]) | {"dropout": 0.1})
        epochs = 40 if name == "bert4rec" else 12  # it learns a part of the events of a row at a time
        settings = TrainingSettings(epochs=epochs, batch_size=12, learning_rate=0.02, device="cpu", metric="full/HR@1")
        evaluation = EvaluationSettings(ks=(1,))
        train(model, parts, settings, evaluation)
        found[shuffled] = validate(model, parts, "test", evaluation).metrics["full/HR@1"]
    assert found[False] >= 0.9
    assert found[True] <= 0.25


# A model of a reader's own.


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))


@dataclass(frozen=True)
class BigramSettings:
    """One setting."""

    hidden_channels: int = 8


@pytest.mark.usefixtures("own_registry")
def test_a_model_of_ones_own() -> None:
    @register("bigram")
    class Bigram(Recommender):
        Settings = BigramSettings

        def __init__(self, inputs: ModelInputs, settings: BigramSettings) -> None:
            super().__init__(inputs, settings)
            self.first = nn.Embedding(inputs.num_items + 1, settings.hidden_channels)
            self.second = nn.Linear(settings.hidden_channels, inputs.num_items + 1)

        def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
            return pick(self.second(self.first(batch.history[:, -1])), candidates)

        def loss(self, batch: Batch) -> dict[str, Tensor]:
            logits, target = self.second(self.first(batch.history)), batch.target
            return {"total": nn.functional.cross_entropy(logits[target > 0], target[target > 0])}

    parts, inputs = walks(shuffled=False)
    model = build_model("bigram", inputs, {"hidden_channels": 32})
    assert repr(model).startswith("Bigram(20 items, 1,365 parameters")
    settings = TrainingSettings(epochs=15, batch_size=10, learning_rate=0.05, device="cpu")
    state = train(model, parts, settings)
    assert state.best > 0.9
    assert experiment_settings({"model": {"name": "bigram"}}).model_values == {"hidden_channels": 8}
    with pytest.raises(ConfigError, match=r"no setting 'hidden_chanels' \(did you mean 'hidden_channels'\?\)"):
        build_model("bigram", inputs, {"hidden_chanels": 3})


@pytest.mark.usefixtures("own_registry")
def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no model 'sasrek' \(did you mean 'sasrec'\?\); known: .*lrdgraph, "):
        build_model("sasrek", shop.inputs())


@pytest.mark.parametrize("name", ["rcf", "kda", *PERSONAL])
def test_negatives_of_a_person_avoid_what_they_are_told_to(name: str) -> None:
    inputs, person, avoided = shop.inputs(), torch.full((50,), 3), torch.tensor([20, 21, 22])
    told = replace(inputs, avoided=torch.stack([torch.full_like(avoided, 3), avoided]))
    drawn = [build_model(name, given, CASES[name]["plain"]).unseen(person, 4) for given in (inputs, told)]
    assert [bool(torch.isin(items, avoided).any()) for items in drawn] == [True, False]
