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
        (lambda: RelationVocabulary.from_json([7]), "a name, a kind and a label"),
        (
            lambda: RelationVocabulary.from_json([{"name": "x", "kind": "latent", "label": "X", "symmetric": "no"}]),
            "'symmetric' of relation 'x' is 'no'",
        ),
    ],
)
def test_bad_relations_give_one_sentence(make: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        make()  # type: ignore[operator]


relations = st.builds(
    Relation,
    st.text(min_size=1),
    st.sampled_from(KINDS),
    st.text(min_size=1),
    description=st.text(),
    symmetric=st.none() | st.booleans(),
    proposed_by=st.text(),
)


@given(st.lists(relations, unique_by=lambda r: r.name))
def test_json_round_trip(rows: list[Relation]) -> None:
    vocabulary = RelationVocabulary(rows)
    assert RelationVocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


def test_json_holds_what_is_set_and_reads_what_older_graphs_hold() -> None:
    rows = RelationVocabulary([Relation("a"), Relation("b", "latent", "goes with", symmetric=False)]).to_json()
    assert rows[0] == {"name": "a", "kind": "predefined", "label": "a"}
    assert rows[1] == {"name": "b", "kind": "latent", "label": "goes with", "symmetric": False}
    assert RelationVocabulary.from_json(rows)[0].symmetric is None
