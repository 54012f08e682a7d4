from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lrdgraph.batch import target_batch
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.relations import Relation
from lrdgraph.models.extend import extend
from lrdgraph.models.registry import build_model
from lrdgraph.splits import split
from lrdgraph.training.checkpoint import load_weights, save_checkpoint
from tests.models import shop

NEW = {"red-quill": "red pen of the red line", "gold-quill": "gold pen of the gold line"}


@pytest.fixture(scope="module")
def trained():
    return shop.model("lrdgraph", steps=20)


def grown(model):
    return extend(model, list(NEW), shop.vectors(*NEW.values()))


def batch(length: int = 5):
    targets = split(shop.shop()).targets("test")
    return target_batch(targets, np.arange(len(targets)), length)


def test_names_of_relations_are_kept():
    model = shop.model("lrdgraph")
    model.latent_relations = (Relation("latent_0", "latent", "same colour"), Relation("latent_1", "latent"))
    assert [relation.label for relation in grown(model).enriched().latent] == ["same colour", "latent_1"]


def test_a_new_item_leads_to_what_its_text_says_and_is_recommended(trained):
    model = grown(trained)
    assert model.inputs.num_items == 26
    for name in NEW:
        colour = name.split("-")[0]
        answer = model.recommend([[name]], k=3)[0]
        assert answer[0].item.startswith(colour)
        everything = [r.item for r in model.recommend([[f"{colour}-case", f"{colour}-pad"]], k=26)[0]]
        assert everything.index(name) < 6
        assert set(everything) == set(model.inputs.items.series) - {f"{colour}-case", f"{colour}-pad"}


def test_what_is_learned_is_copied_and_new_rows_are_zero(trained):
    old, new = trained.state_dict(), grown(trained).state_dict()
    assert old.keys() == new.keys()
    longer = {name for name in old if old[name].shape != new[name].shape}
    assert longer == {"items.free.weight", "bias"}
    assert all(not new[name][25:].any() and len(new[name]) == 27 for name in longer)
    assert all(torch.equal(new[name][: len(old[name])] if old[name].dim() else new[name], old[name]) for name in old)


def test_a_new_item_has_reasons(trained):
    answer = grown(trained).recommend([["red-quill"]], k=5, reasons=3)[0]
    relations = {reason.relation for recommendation in answer for reason in recommendation.reasons}
    assert relations
    assert relations <= {"latent_0", "latent_1"}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lrdgraph", {"num_latent": 0}),
        ("lrdgraph", {"text_neighbours": 0, "two_hop_neighbours": 3}),
        ("sasrec", {"text": True, "dropout": 0.0}),
        ("popularity", {}),
        ("relation-count", {}),
        ("slrc", {}),
        ("chorus", {"substitutes": ("needs",), "group": "colour"}),
    ],
)
def test_old_scores_stay_where_texts_make_no_edge(name, settings):
    model = shop.model(name, steps=0 if name in ("popularity", "relation-count") else 10, **settings)
    with torch.no_grad():
        before, after = model.score(batch()), grown(model).score(batch())
    assert after.shape == (48, 27)
    assert torch.allclose(before[:, 1:], after[:, 1:25], atol=1e-5)


def test_old_scores_change_through_text_neighbours_alone(trained):
    def changed(text):
        model = extend(trained, ["x"], text)
        with torch.no_grad():
            return (trained.score(batch()) - model.score(batch())[:, :25])[:, 1:].abs().max()

    assert changed(shop.vectors("red pen of the red line")) > 1e-3
    # an item without any text has no neighbours
    assert changed(np.zeros_like(shop.vectors("red"))) < 1e-5


def test_texts_are_read_with_the_statistics_of_the_old_items(trained):
    model = extend(trained, ["x"], 100 * shop.vectors("red pen of the red line"))
    for name in ("items.mean", "items.scale", "discovery.standard.mean", "discovery.standard.scale"):
        assert torch.equal(model.state_dict()[name], trained.state_dict()[name])
    twin = extend(trained, ["x"], shop.vectors("red pen of the red line"))
    own = trained.items.project.weight @ ((trained.items.text[1] - trained.items.mean) / trained.items.scale)
    assert torch.allclose(twin.items()[25], own, atol=1e-5)
    assert torch.allclose(twin.items()[:25], trained.items(), atol=1e-6)


def test_attribute_nodes_move_up(trained):
    def named(graph):
        nodes = ["", *graph.items.series, *graph.attributes.series]
        ends = [[nodes[n] for n in end] for end in graph.edge_index.tolist()]
        return list(zip(*ends, graph.edge_type.tolist(), graph.edge_weight.tolist(), strict=True))

    model = grown(trained)
    assert named(model.inputs.graph) == named(trained.inputs.graph)
    assert model.inputs.graph.num_rows == trained.inputs.graph.num_rows + 2


def test_the_model_is_left_alone_and_so_is_chance(trained):
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    state = torch.get_rng_state()
    model = grown(trained)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())
    assert trained.inputs.num_items == 24


def test_can_be_extended_again_trained_on_and_saved(trained, tmp_path):
    twice = extend(extend(trained, ["a"], shop.vectors("red pen")), ["b"], shop.vectors("blue pen"))
    once = extend(trained, ["a", "b"], shop.vectors("red pen", "blue pen"))
    assert flat(twice) == flat(once)
    save_checkpoint(tmp_path / "saved", once.state_dict(), {})
    fresh = build_model("lrdgraph", once.inputs, shop.TINY).eval()
    load_weights(fresh, tmp_path / "saved")
    assert flat(fresh) == flat(once)
    assert once.train().training
    assert extend(once, ["c"], shop.vectors("red")).training


def flat(model):
    return [(r.item, round(r.score, 5)) for r in model.recommend([["a", "blue-ink"]], k=5)[0]]


WIDTH = shop.vectors().shape[1]
BAD = {
    "too few vectors": (["a", "b"], np.zeros((1, WIDTH)), "2 new items need vectors of shape \\(2, "),
    "another width": (["a"], np.zeros((1, 3)), "need vectors of shape"),
    "NaN": (["a", "b"], np.array([[0.0] * WIDTH, [np.nan] * WIDTH]), "'b' is not finite"),
    "known": (["a", "red-pen"], np.zeros((2, WIDTH)), "'red-pen' is in the model already"),
    "twice": (["a", "a"], np.zeros((2, WIDTH)), "'a' occurs more than once"),
    "empty": ([""], np.zeros((1, WIDTH)), "is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gives_one_sentence(case, trained):
    ids, vectors, sentence = BAD[case]
    with pytest.raises(DataError, match=sentence):
        extend(trained, ids, vectors)


def test_a_model_without_texts_cannot_know_new_items():
    model = build_model("popularity", replace(shop.inputs(), text=None))
    with pytest.raises(ConfigError, match="built without language vectors"):
        extend(model, ["a"], np.zeros((1, WIDTH)))
