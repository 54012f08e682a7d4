"""An index answers as the model does, says so when it cannot, and comes back from disk as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lrdgraph.faiss
from lrdgraph.batch import history_batch
from lrdgraph.errors import ConfigError, DataError, MissingExtraError
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.recommend import recommend
from lrdgraph.models.registry import build_model
from lrdgraph.models.serving import ItemIndex, build_index, by_row, load_index, recommend_with
from lrdgraph.vocabulary import Vocabulary
from tests.models import shop
from tests.models.test_recommend import people

KINDS = ("flat", "ivf", "hnsw")
CLUSTERS, MEMBERS, WIDTH = 40, 100, 16


@pytest.fixture(scope="module")
def flagship() -> Recommender:
    return shop.model("lrdgraph", steps=20, trend=True)


def answers(found: list) -> list[list[tuple[str, tuple[tuple[str, str, int], ...]]]]:
    """Items in order, with what their reasons say."""
    return [
        [(one.item, tuple((why.item, why.relation, why.seconds_ago) for why in one.reasons)) for one in each]
        for each in found
    ]


def scores(found: list) -> np.ndarray:
    return np.array([one.score for each in found for one in each])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filter_seen", [True, False])
def test_answers_and_reasons_are_those_of_the_whole_catalogue(flagship, kind, filter_seen) -> None:
    histories, times = people(60)
    asked = {"at": 10_500 * shop.DAY, "k": 5, "filter_seen": filter_seen, "reasons": 4}
    expected = recommend(flagship, histories, times, **asked)
    found = recommend_with(build_index(flagship, kind), histories, times, **asked)
    assert answers(found) == answers(expected)
    assert any(one.reasons for each in found for one in each)
    assert np.allclose(scores(found), scores(expected), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_out_is_not_looked_for(flagship, kind) -> None:
    """The worst items alone, and all but the best, though an index brings but a few hits."""
    histories, times = people(20, longest=2)
    index, asked = build_index(flagship, kind), {"at": 10_500 * shop.DAY, "k": 3}
    ranking = [one.item for one in recommend(flagship, histories[:1], times[:1], k=1000, at=asked["at"])[0]]
    for some in ({"only": []}, {"only": ranking[-3:]}, {"only": ranking[6:]}, {"exclude": ranking[:9]}):
        expected = recommend(flagship, histories, times, **asked, **some)
        assert answers(recommend_with(index, histories, times, hits=4, **asked, **some)) == answers(expected)


def test_a_person_is_known_by_an_index_too() -> None:
    model = build_model("bpr-mf", shop.inputs(), {}).eval()
    index = build_index(model)
    expected = recommend(model, [["red-pen"]], users=[1])
    assert answers(recommend_with(index, [["red-pen"]], users=[1])) == answers(expected)
    assert answers(recommend_with(index, [["red-pen"]])) != answers(expected)


def test_some_items_alone_by_an_index(flagship) -> None:
    histories, times = people(60)
    ids = flagship.inputs.items.series.to_list()
    asked = {"at": 10_500 * shop.DAY, "k": 5, "only": ids[::2], "exclude": ids[:3]}
    expected = recommend(flagship, histories, times, **asked)
    assert answers(recommend_with(build_index(flagship), histories, times, **asked)) == answers(expected)


@pytest.mark.parametrize("name", ["sasrec", "lrdgraph"])
def test_a_request_reads_its_history_once_and_forgets_it_when_weights_may_change(name: str) -> None:
    model = shop.model(name, steps=1)
    histories, times = people(5)
    read: list[int] = []
    model.encoder.register_forward_hook(lambda *_: read.append(1))
    recommend_with(build_index(model), histories, times)
    assert len(read) == 1
    batch = history_batch(np.array([[1, 2]]), np.array([[1, 2]]), np.array([3]), np.array([0]))
    model.eval()
    with torch.no_grad():
        before = model.score(batch)
        assert len(read) == 2
        assert torch.equal(model.score(batch), before)
        assert len(read) == 2
        model.train()
        for parameter in model.parameters():
            parameter.mul_(2)
        model.eval()
        assert not torch.allclose(before[:, 1:], model.score(batch)[:, 1:])


def test_few_hits_are_enough_since_edges_bring_the_rest(flagship) -> None:
    histories, times = people(60, longest=2)
    index = build_index(flagship)
    counts = []

    def found(batch, number):
        items = index.candidates(batch, number)
        counts.append(items.size(1))
        return items

    asked = {"at": 10_500 * shop.DAY, "k": 2}
    expected = recommend(flagship, histories, times, **asked)
    assert answers(recommend_with(index, histories, times, hits=1, **asked)) == answers(expected)
    assert answers(recommend(flagship, histories, times, **asked, candidates=found)) == answers(expected)
    assert max(counts) < 24, "not the whole catalogue"
    without = [[one.item for one in each] for each in recommend(flagship, histories, times, **asked, candidates=only)]
    assert without != [[one.item for one in each] for each in expected]


def only(batch, number):
    """A source that knows two items."""
    return torch.tensor([[3, 9, 0]]).expand(len(batch), -1)


def test_what_a_source_finds_is_filtered_and_padding_is_no_item(flagship) -> None:
    ids = shop.shop().items.ids([3, 9])
    found = recommend(flagship, [["red-pen"], [ids[0]], ids], k=5, candidates=only)
    assert [sorted(one.item for one in each) for each in found] == [sorted(ids), [ids[1]], []]
    everything = recommend(flagship, [ids], k=5, candidates=only, filter_seen=False)[0]
    assert sorted(one.item for one in everything) == sorted(ids)


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "gru4rec", "narm", "bpr-mf", "lightgcn", "cfkg"])
def test_models_without_evidence(name) -> None:
    model = shop.model(name, steps=0 if name in ("bpr-mf", "lightgcn", "cfkg") else 5)
    with torch.no_grad():  # untrained items are tied, and an index may take any of them
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    histories, times = people(20)
    expected = model.recommend(histories, times, k=3)
    found = recommend_with(build_index(model), histories, times, k=3, hits=1)
    assert np.allclose(scores(found), scores(expected), atol=1e-5)


def test_of_many_as_of_one_and_of_none(flagship) -> None:
    index = build_index(flagship)
    histories, times = people(20)
    together = recommend_with(index, histories, times, k=4)
    alone = [recommend_with(index, [h], [t], k=4)[0] for h, t in zip(histories, times, strict=True)]
    assert answers(alone) == answers(together)
    assert recommend_with(index, []) == []
    assert len(recommend_with(index, [["red-pen"]], k=1000)[0]) == 23


def test_mode_is_left_as_it_was() -> None:
    model = shop.model("sasrec", steps=3, dropout=0.5)
    expected = model.recommend([["red-pen"]], k=3)
    model.train()
    index = build_index(model)
    assert model.training
    assert np.allclose(scores(recommend_with(index, [["red-pen"]], k=3)), scores(expected), atol=1e-6)
    assert model.training


def clustered() -> Recommender:
    """SASRec of four thousand items whose vectors stand in forty clusters and differ in length."""
    rng = torch.Generator().manual_seed(0)
    number = CLUSTERS * MEMBERS
    ids = Vocabulary([f"i{n}" for n in range(1, number + 1)])
    inputs = replace(
        shop.inputs(),
        items=ids,
        popularity=torch.ones(number + 1),
        events=torch.ones(3, 4).long(),
        text=None,
        graph=None,
    )
    assert isinstance(inputs, ModelInputs)
    torch.manual_seed(0)
    model = shop.build_model("sasrec", inputs, {"hidden_channels": WIDTH, "num_layers": 1}).eval()
    centres = torch.randn(CLUSTERS, WIDTH, generator=rng).repeat_interleave(MEMBERS, dim=0)
    vectors = (centres + 0.3 * torch.randn(number, WIDTH, generator=rng)) * torch.rand(number, 1, generator=rng).add(
        0.5
    )
    with torch.no_grad():
        model.items.free.weight[1:] = vectors
        model.bias.normal_(std=0.3, generator=rng)
    return model


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_index_that_does_not_look_everywhere_finds_nearly_all(kind) -> None:
    model = clustered()
    rng = np.random.default_rng(0)
    homes = rng.integers(CLUSTERS, size=200) * MEMBERS
    histories = [[f"i{home + n}" for n in rng.integers(1, MEMBERS + 1, 5)] for home in homes]
    expected = [{one.item for one in each} for each in model.recommend(histories)]
    index = build_index(model, kind)

    def recall() -> float:
        found = recommend_with(index, histories, hits=50)
        return float(np.mean([len({one.item for one in a} & b) / 10 for a, b in zip(found, expected, strict=True)]))

    assert recall() >= 0.98
    usual, index.breadth = index.breadth, 1
    narrow = recall()
    assert narrow < 0.98 or kind == "hnsw"  # of an HNSW graph 50 nodes at least are looked at
    assert usual < len(index) / 10


def test_an_index_comes_back_from_disk(flagship, tmp_path: Path) -> None:
    histories, times = people(20)
    for kind in KINDS:
        index = build_index(flagship, kind, at=10_300 * shop.DAY, breadth=7)
        index.save(tmp_path / kind)
        assert sorted(path.name for path in (tmp_path / kind).iterdir()) == ["index.faiss", "index.json"]
        again = load_index(tmp_path / kind, flagship)
        assert (again.kind, again.breadth, again.at, len(again)) == (kind, 7, 10_300 * shop.DAY, 24)
        assert recommend_with(again, histories, times, hits=3) == recommend_with(index, histories, times, hits=3)
        assert repr(again) == repr(index)


def cut(folder: Path) -> None:
    (folder / "index.faiss").write_bytes((folder / "index.faiss").read_bytes()[:100])


def changed(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        about = json.loads((folder / "index.json").read_text())
        (folder / "index.json").write_text(json.dumps(about | values))

    return change


def of_others(folder: Path) -> None:
    import faiss

    faiss.write_index(faiss.IndexFlatIP(4), str(folder / "index.faiss"))


BROKEN = {
    "cut short": (cut, "index.faiss is not a whole faiss index .*; build it anew"),
    "no file": (lambda folder: (folder / "index.faiss").unlink(), "is not a whole faiss index"),
    "no description": (lambda folder: (folder / "index.json").unlink(), "index.json does not exist"),
    "no JSON": (lambda folder: (folder / "index.json").write_text("{"), "not valid JSON"),
    "another format": (changed(format=2), "does not describe an index of this version"),
    "another kind": (changed(kind="tree"), "does not describe an index of this version"),
    "no number": (changed(breadth="wide"), "does not describe an index of this version"),
    "other weights": (changed(weights="0"), "holds the index of other weights than those of the model"),
    "other vectors": (of_others, "index.faiss holds \\(0, 4\\) numbers, the model \\(24, 17\\)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_index_is_one_sentence(flagship, case, tmp_path: Path) -> None:
    change, sentence = BROKEN[case]
    build_index(flagship).save(tmp_path / "index")
    change(tmp_path / "index")
    with pytest.raises(DataError, match=sentence):
        load_index(tmp_path / "index", flagship)


def test_an_index_of_other_weights_or_none_is_refused(flagship, tmp_path: Path) -> None:
    build_index(shop.model("lrdgraph", steps=19, trend=True)).save(tmp_path / "index")
    with pytest.raises(DataError, match="of other weights"):
        load_index(tmp_path / "index", flagship)
    with pytest.raises(DataError, match="There is no index in .*nowhere; build it with"):
        load_index(tmp_path / "nowhere", flagship)


def test_what_cannot_be_built_is_one_sentence(flagship, monkeypatch) -> None:
    with pytest.raises(
        ConfigError, match="no index of kind 'flit' \\(did you mean 'flat'\\?\\); known: flat, ivf, hnsw"
    ):
        build_index(flagship, "flit")
    with pytest.raises(ConfigError, match="breadth is 0; it must be 1 or more"):
        build_index(flagship, "ivf", breadth=0)
    with pytest.raises(ConfigError, match="hits must be 1 or more; got 0"):
        recommend_with(build_index(flagship), [["red-pen"]], hits=0)
    diverged = shop.model("sasrec")
    with torch.no_grad():
        diverged.bias.fill_(torch.nan)
    with pytest.raises(DataError, match="SASRec has item vectors that are no numbers"):
        build_index(diverged)

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(lrdgraph.faiss, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"needs faiss; install it with 'pip install lrdgraph\[index\]'"):
        build_index(flagship)


def test_by_row_by_hand() -> None:
    row, item = torch.tensor([2, 0, 0, 2, 0, 2]), torch.tensor([5, 7, 3, 5, 3, 0])
    assert by_row(row, item, 3).tolist() == [[3, 7], [0, 0], [5, 0]]
    assert by_row(row[:0], item[:0], 2).tolist() == [[0], [0]]
    assert isinstance(build_index(shop.model("sasrec")), ItemIndex)
