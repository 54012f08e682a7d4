from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.corpus import TEST, TRAIN, VALIDATION, Corpus
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.splits import Split, split
from lrdgraph.vocabulary import Vocabulary
from tests.test_corpus import corpora


def corpus(user: list[int], item: list[int], time: list[int], **more: object) -> Corpus:
    return Corpus(
        name="hand",
        users=Vocabulary([f"u{i}" for i in range(1, max(user) + 1)], "user"),
        items=Vocabulary([f"i{i}" for i in range(1, 10)]),
        user=np.array(user),
        item=np.array(item),
        time=np.array(time),
        fields=pl.DataFrame(),
        **more,
    )


def test_leave_one_out_by_hand():
    # user 1: items by time 3 (t1), then 1 and 2 tied at t5 in source order, then 4 (t9); user 2 has two events only
    made = corpus([1, 1, 2, 1, 1, 2, 3], [1, 2, 5, 3, 4, 6, 7], [5, 5, 8, 1, 9, 2, 4])
    parts = split(made)
    assert (parts.name, parts.num_items) == ("leave-one-out", 9)
    assert parts.events.item.tolist() == [3, 1, 2, 4, 6, 5, 7]
    assert parts.events.offsets.tolist() == [0, 0, 4, 6, 7]
    assert parts.role.tolist() == [TRAIN, TRAIN, VALIDATION, TEST, TRAIN, TRAIN, TRAIN]
    assert parts.source.tolist() == [3, 0, 1, 4, 5, 2, 6]
    training = parts.training()
    assert training.item.tolist() == [3, 1, 6, 5, 7]
    assert training.time.tolist() == [1, 5, 2, 8, 4]
    assert training.offsets.tolist() == [0, 0, 2, 4, 5]
    assert training.user.tolist() == [1, 1, 2, 2, 3]
    validation, test = parts.targets("validation"), parts.targets("test")
    assert (validation.user.tolist(), validation.item.tolist(), validation.tied.tolist()) == ([1], [2], [True])
    assert (validation.start.tolist(), validation.end.tolist()) == ([0], [2])
    assert (test.item.tolist(), test.time.tolist(), test.tied.tolist()) == ([4], [9], [False])
    # the validation item is history for the test
    assert test.events.item[test.start[0] : test.end[0]].tolist() == [3, 1, 2]
    assert repr(parts) == "Split(leave-one-out: 5 train, 1 validation, 1 test events)"


def test_temporal_by_hand():
    # ten times 0…9: the cuts at 0.6 and 0.8 of them are positions 5.4 and 7.2, rounded up to the times 6 and 8
    made = corpus([1, 2, 1, 2, 1, 2, 1, 2, 1, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 1], list(range(10)))
    parts = split(made, "temporal", fractions=(0.6, 0.8))
    by_time = parts.role[np.argsort(parts.source)]
    assert by_time.tolist() == [TRAIN] * 6 + [VALIDATION] * 2 + [TEST] * 2
    assert parts.training().item.tolist() == [1, 3, 5, 2, 4, 6]
    assert parts.targets("validation").item.tolist() == [7, 8]
    # user 3's only event is a test event without any history: it is no target
    assert parts.targets("test").item.tolist() == [9]


def test_temporal_keeps_one_moment_on_one_side():
    parts = split(corpus([1, 2, 3, 1, 2, 3], [1, 2, 3, 4, 5, 6], [0, 1, 1, 1, 1, 2]), "temporal", fractions=(0.5, 0.9))
    by_row = parts.role[np.argsort(parts.source)]
    assert by_row.tolist() == [TRAIN] + [VALIDATION] * 4 + [TEST]


def test_given_goes_by_role_first_and_keeps_each_target_its_candidates():
    roles = np.array([2, 0, 1, 1, 0, 2], dtype=np.int8)
    lists = {"validation": np.array([[1, 1], [2, 2]]), "test": np.array([[3, 3], [4, 4]])}
    # user 2 stands first in the source, and has a test event earlier than its validation event
    made = corpus([2, 1, 2, 1, 2, 1], [1, 2, 3, 4, 5, 6], [4, 1, 5, 2, 3, 3], split=roles, candidates=lists)
    parts = split(made)
    assert parts.name == "given"
    assert parts.events.item.tolist() == [2, 4, 6, 5, 3, 1]
    validation, test = parts.targets("validation"), parts.targets("test")
    assert validation.candidates is not None
    assert test.candidates is not None
    assert (validation.item.tolist(), validation.candidates.tolist()) == ([4, 3], [[2, 2], [1, 1]])
    assert (test.item.tolist(), test.candidates.tolist()) == ([6, 1], [[4, 4], [3, 3]])
    # lists were drawn for the published split and no other
    assert split(made, "leave-one-out").targets("test").candidates is None


@pytest.mark.parametrize("fractions", [(0.9, 0.8), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)])
def test_fractions_must_rise(fractions: tuple[float, float]):
    with pytest.raises(ConfigError, match="must rise within"):
        split(corpus([1], [1], [1]), "temporal", fractions=fractions)


def test_what_cannot_be_split_is_one_sentence():
    made = corpus([1], [1], [1])
    with pytest.raises(DataError, match="Corpus 'hand' publishes no split; use 'leave-one-out' or 'temporal'"):
        split(made, "given")
    with pytest.raises(ConfigError, match="Unknown split 'random'"):
        split(made, "random")
    with pytest.raises(DataError, match="hand has no interactions to cut in time"):
        split(replace(made, user=made.user[:0], item=made.item[:0], time=made.time[:0]), "temporal")
    with pytest.raises(ConfigError, match="no targets for 'train'"):
        split(made).targets("train")


def ways(made: Corpus) -> list[str]:
    return ["leave-one-out", *(["temporal"] if len(made) else []), *(["given"] if made.split is not None else [])]


@given(corpora())
def test_every_event_has_one_role_and_users_stay_apart(made: Corpus):
    for how in ways(made):
        parts = split(made, how)
        assert sorted(parts.source) == list(range(len(made)))
        assert np.array_equal(parts.events.item, made.item[parts.source])
        assert np.array_equal(parts.events.time, made.time[parts.source])
        assert np.array_equal(parts.events.user, made.user[parts.source])
        assert len(parts.events.offsets) == made.num_users + 2
        assert parts.events.offsets[:2].tolist() == [0, 0]


@given(corpora())
def test_order_is_role_then_time_then_source(made: Corpus):
    for how in ways(made):
        parts = split(made, how)
        keys = list(zip(parts.events.user, parts.role, parts.events.time, parts.source, strict=True))
        assert keys == sorted(keys)


@given(corpora())
def test_leave_one_out_against_a_slow_reference(made: Corpus):
    parts = split(made, "leave-one-out")
    expected = np.full(len(made), TRAIN)
    for user in range(1, made.num_users + 1):
        rows = sorted(np.flatnonzero(made.user == user), key=lambda row: (made.time[row], row))
        if len(rows) >= 3:
            expected[rows[-1]], expected[rows[-2]] = TEST, VALIDATION
    assert parts.role[np.argsort(parts.source)].tolist() == expected.tolist()


@given(corpora())
def test_targets_against_a_slow_reference(made: Corpus):
    for how in ways(made):
        parts = split(made, how)
        for role, code in (("validation", VALIDATION), ("test", TEST)):
            targets, expected = parts.targets(role), []
            for at in np.flatnonzero(parts.role == code):
                before = [e for e in range(at) if parts.events.user[e] == parts.events.user[at]]
                if before:
                    tied = parts.events.time[before[-1]] == parts.events.time[at]
                    nth = int((made.split[: parts.source[at]] == code).sum()) if how == "given" else 0
                    lists = made.candidates.get(role) if how == "given" else None
                    row = None if lists is None else lists[nth].tolist()
                    expected.append((parts.events.user[at], parts.events.item[at], before, tied, row))
            found = [
                (
                    targets.user[p],
                    targets.item[p],
                    list(range(targets.start[p], targets.end[p])),
                    targets.tied[p],
                    None if targets.candidates is None else targets.candidates[p].tolist(),
                )
                for p in range(len(targets))
            ]
            assert found == expected


def mutated(made: Corpus, parts: Split, rng: np.random.Generator) -> Corpus:
    """All validation and test events get other items and, as late as the split allows, other times."""
    held_out = np.zeros(len(made), dtype=bool)
    held_out[parts.source[parts.role != TRAIN]] = True
    other = made.item % made.num_items + 1
    later = made.time + rng.integers(0, 3) * (made.time.max(initial=0) + 1)
    moved = np.where(held_out & (parts.name != "temporal"), later, made.time)
    return replace(made, item=np.where(held_out, other, made.item), time=moved)


@given(corpora(), st.integers(0, 2**32))
def test_no_training_array_depends_on_what_is_held_out(made: Corpus, seed: int):
    for how in ways(made):
        parts = split(made, how)
        twin = split(mutated(made, parts, np.random.default_rng(seed)), how)
        mine, its = parts.training(), twin.training()
        assert np.array_equal(mine.item, its.item)
        assert np.array_equal(mine.time, its.time)
        assert np.array_equal(mine.offsets, its.offsets)
