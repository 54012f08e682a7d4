from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.errors import DataError, UnknownIdError
from lrdgraph.graph.relations import KINDS, Relation, RelationVocabulary

RELATIONS = RelationVocabulary(
    [Relation("complement"), Relation("brand", "attribute", "Brand"), Relation("complement^-1", "inverse")]
)


def test_positions_names_and_kinds() -> None:
    assert len(RELATIONS) == 3
    assert RELATIONS.index("brand") == 1
    assert RELATIONS[1].label == "Brand"
    assert RELATIONS[0].label == "complement"
    assert RELATIONS.of_kind("predefined", "inverse") == [0, 2]
    assert "brand" in RELATIONS
    assert "author" not in RELATIONS
    assert "brand [attribute]" in repr(RELATIONS)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownIdError, match="'complment' .did you mean 'complement'"):
        RELATIONS.index("complment")
    with pytest.raises(UnknownIdError, match="known are complement, brand"):
        RELATIONS.index("xyz")


def test_add_keeps_old_positions_and_the_old_vocabulary() -> None:
    more = RELATIONS.add(Relation("latent_0", "latent"))
    assert more.names == (*RELATIONS.names, "latent_0")
    assert len(RELATIONS) == 3


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RELATIONS.add(Relation("brand")), "'brand' occurs more than once"),
        (lambda: Relation(""), "empty name"),
        (lambda: Relation("x", "latnet"), "did you mean 'latent'"),  # type: ignore[arg-type]
        (lambda: RelationVocabulary.from_json([{"name": "x"}]), "a name, a kind and a label"),
        (lambda: RelationVocabulary.from_json(7), "a name, a kind and a label"),
    ],
)
def test_bad_relations_give_one_sentence(make: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        make()  # type: ignore[operator]


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from(KINDS), st.text(min_size=1)), unique_by=lambda r: r[0]))
def test_json_round_trip(rows: list[tuple[str, str, str]]) -> None:
    relations = RelationVocabulary(Relation(*row) for row in rows)  # type: ignore[arg-type]
    assert RelationVocabulary.from_json(json.loads(json.dumps(relations.to_json()))) == relations
