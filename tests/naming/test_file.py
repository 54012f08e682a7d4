"""The file of names: there and back, edited by hand, and wrong in every way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.errors import ConfigError, DataError, LrdgraphError
from lrdgraph.graph.relations import Relation
from lrdgraph.naming.file import DESCRIPTION_LIMIT, LABEL_LIMIT, named, read_names, write_names

NAMES = ("latent_0", "latent_1", "latent_2")
PROPOSED = Relation("latent_0", "latent", "camping gear", "Both are used when camping.", True, "smollm2")
BY_HAND = Relation("latent_1", "latent", 'for "the" kitchen \\ sink', "", False)
PLAIN = Relation("latent_2", "latent")
one_line = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=LABEL_LIMIT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_names(tmp_path / "relations.toml", [PROPOSED, BY_HAND, PLAIN])
    return tmp_path / "relations.toml"


def test_there_and_back(path: Path) -> None:
    assert read_names(path, NAMES) == {"latent_0": PROPOSED, "latent_1": BY_HAND}
    plain = tuple(Relation(name, "latent") for name in NAMES)
    assert named(plain, path) == (PROPOSED, BY_HAND, PLAIN)
    assert named(plain, path.with_name("none.toml")) == plain
    text = path.read_text()
    assert text.startswith("# Names of the discovered relations")
    assert "latent_2" not in text


@given(label=one_line.filter(str.strip), description=one_line, symmetric=st.none() | st.booleans(), by=one_line)
def test_any_words_there_and_back(
    tmp_path_factory: pytest.TempPathFactory, label: str, description: str, symmetric: bool | None, by: str
) -> None:
    path = tmp_path_factory.mktemp("names") / "relations.toml"
    relation = Relation("latent_0", "latent", label, description, symmetric, by)
    write_names(path, [relation])
    if label == "latent_0" and not description:
        assert read_names(path, NAMES) == {}
    elif label.casefold() not in NAMES[1:]:
        assert read_names(path, NAMES) == {"latent_0": relation}


EDITS = [
    ('"camping gear"', '"tents"'),
    ("when camping", "in summer"),
    ("symmetric = true", "symmetric = false"),
    ("symmetric = true\n", ""),
    ('proposed_by = "smollm2"', 'proposed_by = "me"'),
    ("seal = ", "# seal = "),
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit[1])
def test_an_edit_is_a_persons(path: Path, edit: tuple[str, str]) -> None:
    text = path.read_text()
    assert text.count(edit[0]) == 1
    path.write_text(text.replace(*edit))
    found = read_names(path, NAMES)["latent_0"]
    assert found.proposed_by == ""
    write_names(path, [found])
    assert read_names(path, NAMES) == {"latent_0": found}
    assert "proposed_by = " not in path.read_text()


def test_names_that_toml_has_to_quote(tmp_path: Path) -> None:
    odd = [
        Relation(name, "latent", f"label {n}") for n, name in enumerate(["a.b", 'with "quotes"', "Ö and ö", "plain-1"])
    ]
    write_names(tmp_path / "relations.toml", odd)
    assert list(read_names(tmp_path / "relations.toml", [one.name for one in odd]).values()) == odd
    assert "\n[plain-1]\n" in (tmp_path / "relations.toml").read_text()


def test_a_file_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "relations.toml"
    path.write_text("[latent_1]\nlabel = 'parts of it'\n")
    assert read_names(path, NAMES) == {"latent_1": Relation("latent_1", "latent", "parts of it")}


WRONG: dict[str, tuple[str, type[LrdgraphError], str]] = {
    "no toml": ("[latent_0", ConfigError, "is not valid TOML"),
    "no label": ("[latent_0]\ndescription = 'x'", ConfigError, r"\[latent_0\] needs the setting 'label'"),
    "empty label": ("[latent_0]\nlabel = ' '", ConfigError, "its label is empty; write one, or remove the entry"),
    "unknown key": ("[latent_0]\nlabel = 'x'\nlable = 'y'", ConfigError, r"'lable' \(did you mean 'label'\?\)"),
    "a number": ("[latent_0]\nlabel = 3", ConfigError, r"\[latent_0\] 'label' must be a string, got 3"),
    "no direction": ("[latent_0]\nlabel = 'x'\nsymmetric = 'yes'", ConfigError, "'symmetric' must be true or false"),
    "no table": ("latent_0 = 'x'", ConfigError, r"\[latent_0\] must be a section"),
    "two lines": ('[latent_0]\nlabel = "a\\nb"', ConfigError, "its label holds a line break or a control character"),
    "a control": ('[latent_0]\nlabel = "a\\u0007b"', ConfigError, "control character"),
    "too long": (f"[latent_0]\nlabel = '{'x' * 81}'", ConfigError, "its label has 81 characters; write 80 at most"),
    "too much": (f"[latent_0]\nlabel = 'x'\ndescription = '{'x' * 501}'", ConfigError, f"{DESCRIPTION_LIMIT} at most"),
    "unknown": ("[latent_7]\nlabel = 'x'", DataError, r"names 'latent_7', which the model has not discovered \(did"),
    "another": (
        "[zzz]\nlabel = 'x'",
        DataError,
        "'zzz', which the model has not discovered; it has latent_0, latent_1",
    ),
    "twice": ("[latent_0]\nlabel = 'X'\n[latent_1]\nlabel = 'x'", DataError, "latent_0 and latent_1 the label 'x'"),
    "a name": ("[latent_0]\nlabel = 'latent_1'", DataError, "latent_0 and latent_1 the label 'latent_1'; rename one."),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    text, kind, expected = WRONG[case]
    path = tmp_path / "relations.toml"
    path.write_text(text)
    with pytest.raises(kind, match=expected) as caught:
        read_names(path, NAMES)
    assert "relations.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_without_relations_has_no_names(path: Path) -> None:
    with pytest.raises(DataError, match="has not discovered; it has none"):
        named((), path)


def test_what_is_wrong_is_not_written(path: Path) -> None:
    before = path.read_text()
    with pytest.raises(DataError, match="rename one"):
        write_names(path, [PROPOSED, Relation("latent_1", "latent", "Camping Gear")])
    with pytest.raises(ConfigError, match="line break"):
        write_names(path, [Relation("latent_1", "latent", "a\nb")])
    assert path.read_text() == before
