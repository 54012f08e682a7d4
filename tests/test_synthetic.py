"""What the made-up shop promises: its law of popularity, its planted relations, the same bytes for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_loaders import load
from lrdgraph.errors import ConfigError
from lrdgraph.storage import read_json
from lrdgraph.synthetic import FAMILY, MOST, PARTS, SyntheticSettings, partner, synthesize

DAY = 86_400


def made(folder: Path, block: int = 1 << 16, **settings: float) -> Path:
    synthesize(folder, SyntheticSettings(**{"items": 2000, **settings}), block=block)  # type: ignore[arg-type]
    return folder


def numbers(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, item (from 0) and time of every interaction."""
    table = pl.read_parquet(folder / "interactions.parquet")
    user, item = (table[name].str.slice(1).cast(pl.Int64).to_numpy() for name in ("user", "item"))
    return user, item, table["time"].to_numpy()


def transitions(folder: Path) -> np.ndarray:
    """``(2, T)`` items that follow each other in one history."""
    user, item, _ = numbers(folder)
    return np.stack([item[:-1], item[1:]])[:, user[1:] == user[:-1]]


def led(pairs: np.ndarray, relation: int) -> float:
    """Share of the transitions that a relation leads along."""
    return float((partner(pairs[0], relation) == pairs[1]).mean())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("made") / "shop")


@pytest.mark.parametrize("block", [1, 97, 5000])
def test_the_files_are_the_same_whatever_the_block(tmp_path: Path, block: int) -> None:
    small = {"items": 160, "interactions_per_item": 3}
    one, other = made(tmp_path / "one", **small), made(tmp_path / "other", block=block, **small)
    names = sorted(path.name for path in one.iterdir())
    assert names == [
        *("interactions.parquet", "items.parquet", "planted.parquet", "synthetic.json", "triples.parquet"),
    ]
    assert [(other / name).read_bytes() for name in names] == [(one / name).read_bytes() for name in names]


def test_another_seed_is_another_shop(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", items=160), made(tmp_path / "other", items=160, seed=1)
    for name in ("interactions.parquet", "items.parquet"):
        assert not pl.read_parquet(one / name).equals(pl.read_parquet(other / name))


def test_sizes_are_those_asked_for(shop: Path) -> None:
    user, item, time = numbers(shop)
    assert len(user) == 20_000
    assert read_json(shop / "synthetic.json")["users"] == user.max() + 1 == len(np.unique(user))
    assert pl.read_parquet(shop / "items.parquet")["item"].n_unique() == 2000
    assert 0 <= item.min() <= item.max() < 2000
    events = np.bincount(user)
    assert events[:-1].min() >= 3
    assert events.max() <= MOST
    assert abs(events.mean() - 10) < 0.4
    later = np.diff(time)[user[1:] == user[:-1]]
    assert (later >= 0).all()


def test_the_loader_reads_it_and_only_what_is_recorded(shop: Path) -> None:
    corpus = load(shop)
    assert (corpus.num_items, len(corpus)) == (2000, 20_000)
    assert corpus.fields.columns == ["title", "brand", "category"]
    assert corpus.triples.names == ("brand", "category", "planted_0")
    assert len(corpus.triples) == 6000
    assert corpus.dropped == {}
    assert corpus.items.ids(corpus.item) == pl.read_parquet(shop / "interactions.parquet")["item"].to_list()


def test_planted_triples_lead_within_a_family_and_titles_tell_them(shop: Path) -> None:
    planted = pl.read_parquet(shop / "planted.parquet")
    title = pl.read_parquet(shop / "items.parquet").select("item", pl.col("title").str.split(" "))
    planted = planted.join(title, left_on="head", right_on="item").join(title, left_on="tail", right_on="item")
    assert planted.height == 4 * 2000
    for relation, head, tail in planted.select("relation", "title", "title_right").sample(300, seed=0).rows():
        assert head[:-1] == tail[:-1]
        shift = int(relation.removeprefix("planted_")) + 1
        assert PARTS[(PARTS.index(head[-1]) + shift) % FAMILY] == tail[-1]


def test_transitions_follow_the_planted_relations(shop: Path) -> None:
    pairs = transitions(shop)
    for relation in range(4):
        assert led(pairs, relation) == pytest.approx(0.5 / 4, abs=0.02)
    shuffled = np.stack([pairs[0], np.random.default_rng(0).permutation(pairs[1])])
    assert all(led(pairs, r) > 5 * led(shuffled, r) for r in range(4))
    # one that is not planted occurs by chance alone
    assert led(pairs, 5) < 2 * led(shuffled, 5)


def test_a_control_without_plants_shows_none(tmp_path: Path) -> None:
    pairs = transitions(made(tmp_path / "control", follow=0.0))
    shuffled = np.stack([pairs[0], np.random.default_rng(0).permutation(pairs[1])])
    for relation in range(4):
        assert led(pairs, relation) == pytest.approx(led(shuffled, relation), abs=0.006)


def test_what_is_led_to_comes_sooner(shop: Path) -> None:
    user, item, time = numbers(shop)
    same = user[1:] == user[:-1]
    gap, family = np.diff(time)[same] / DAY, item // FAMILY
    within = (family[1:] == family[:-1])[same]
    assert np.mean(gap[~within]) == pytest.approx(30, rel=0.1)
    assert np.mean(gap[within]) < 8


@pytest.mark.parametrize("zipf", [0.6, 1.2])
@pytest.mark.parametrize("follow", [0.0, 0.7])
def test_popularity_keeps_to_the_law(tmp_path: Path, zipf: float, follow: float) -> None:
    """The slope of log count against log rank over the head, where counts are large."""
    shop = made(tmp_path / "shop", items=8000, zipf=zipf, follow=follow)
    count = np.bincount(numbers(shop)[1] // FAMILY, minlength=1000)[:60]
    slope = np.polyfit(np.log(np.arange(1, 61)), np.log(count), 1)[0]
    assert slope == pytest.approx(-zipf, abs=0.08)


def test_parts_of_a_family_are_alike(shop: Path) -> None:
    count = np.bincount(numbers(shop)[1], minlength=2000).reshape(-1, FAMILY)
    assert count[0].min() > 0.7 * count[0].max()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"items": 100}, "multiple of 8, as 104"),
        ({"items": 0}, "multiple of 8, as 8"),
        ({"follow": 1.5}, "follow is 1.5; it must lie between 0 and 1"),
        ({"relations": 8}, "relations is 8"),
        ({"recorded": 5}, "recorded is 5"),
        ({"events_per_user": 2.0}, "events_per_user"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        SyntheticSettings(**wrong)  # type: ignore[arg-type]


def test_a_folder_of_other_files_is_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="that are not synthetic tables"):
        made(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="is a file"):
        made(tmp_path / "thesis.txt")
