"""Settings in, settings out, and one sentence for every mistake."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Lt
from hypothesis import given
from hypothesis import strategies as st

from lrdgraph.config import config_hash, override, read_toml, settings, to_dict
from lrdgraph.errors import ConfigError


@dataclass(frozen=True)
class Optimizer:
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Training:
    name: str
    epochs: Annotated[int, Gt(0)] = 5
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    pooling: Literal["mean", "cls", "last"] = "mean"
    limit: int | None = None
    seed: int | str = 0
    amp: bool = False
    widths: tuple[int, ...] = (64, 32)
    out: Path | None = None
    optimizer: Optimizer = field(default_factory=Optimizer)
    warmup: Optimizer | None = None
    stages: tuple[Optimizer, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.limit == 13:
            raise ValueError("limit and luck do not go together.")


def test_defaults_and_values() -> None:
    made = settings(Training, {"name": "a", "dropout": 0, "widths": [8], "optimizer": {"betas": [0, 0.5]}}, "[t]")
    assert made == Training("a", dropout=0.0, widths=(8,), optimizer=Optimizer(betas=(0.0, 0.5)))
    assert isinstance(made.dropout, float)
    assert isinstance(made.optimizer.betas[0], float)


def test_an_instance_and_a_path_are_values_too() -> None:
    made = settings(Training, {"name": "a", "out": Path("x/y"), "warmup": Optimizer(0.5)}, "[t]")
    assert (made.out, made.warmup) == (Path("x/y"), Optimizer(0.5))


MISTAKES: list[tuple[dict[str, Any], str]] = [
    (
        {"epoch": 3},
        "[t] has no setting 'epoch' (did you mean 'epochs'?); it has name, epochs, dropout, pooling, limit,",
    ),
    ({"optimizer": {"learning_rat": 1}}, "'optimizer.learning_rat' (did you mean 'learning_rate'?); it has learning_"),
    ({"warmup": {"beta": [1, 2]}}, "[t] has no setting 'warmup.beta' (did you mean 'betas'?)"),
    ({"stages": [{}, {"zzz": 1}]}, "[t] has no setting 'stages.1.zzz'; it has learning_rate, betas."),
    ({"epochs": "3"}, "[t] 'epochs' must be an integer, got '3'."),
    ({"epochs": 3.0}, "[t] 'epochs' must be an integer, got 3.0."),
    ({"epochs": True}, "[t] 'epochs' must be an integer, got True."),
    ({"epochs": 0}, "[t] 'epochs' must be greater than 0, got 0."),
    ({"dropout": 1.0}, "[t] 'dropout' must be less than 1, got 1.0."),
    ({"dropout": "much"}, "[t] 'dropout' must be a number, got 'much'."),
    ({"pooling": "men"}, "[t] 'pooling' must be 'mean', 'cls' or 'last', got 'men' (did you mean 'mean'?)."),
    ({"limit": "none"}, "[t] 'limit' must be an integer, got 'none'."),
    ({"limit": 13}, "[t] is wrong: limit and luck do not go together."),
    ({"seed": 1.5}, "[t] 'seed' must be an integer or a string, got 1.5."),
    ({"amp": 1}, "[t] 'amp' must be true or false, got 1."),
    ({"name": 7}, "[t] 'name' must be a string, got 7."),
    ({"widths": 64}, "[t] 'widths' must be a list, got 64."),
    ({"widths": [64, "x"]}, "[t] 'widths.1' must be an integer, got 'x'."),
    ({"optimizer": 3}, "[t] 'optimizer' must be a section of settings, got 3."),
    ({"optimizer": {"learning_rate": "1e-3"}}, "[t] 'optimizer.learning_rate' must be a number, got '1e-3'."),
    ({"optimizer": {"betas": [1, 2, 3]}}, "[t] 'optimizer.betas' is wrong: "),
    ({"optimizer": {"betas": [1]}}, "[t] needs the setting 'optimizer.betas.1', which is not given; add it."),
    ({"stages": [{"learning_rate": "x"}]}, "[t] 'stages.0.learning_rate' must be a number, got 'x'."),
    ({"weights": {"kg": "x"}}, "[t] 'weights.kg' must be a number, got 'x'."),
    ({"out": object}, "[t] holds <class 'object'> of type type; use only values that TOML can write."),
]


@pytest.mark.parametrize(("values", "sentence"), MISTAKES, ids=[sentence[:40] for _, sentence in MISTAKES])
def test_mistake_gives_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings(Training, {"name": "a"} | values, "[t]")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    for values, place in (
        ({"dropout": value}, "dropout"),
        ({"optimizer": {"betas": [0.9, value]}}, "optimizer.betas.1"),
        ({"weights": {"a": value}}, "weights.a"),
    ):
        with pytest.raises(ConfigError, match=rf"^\[t\] '{re.escape(place)}' must be a finite number, got {value}\.$"):
            settings(Training, {"name": "x"} | values, "[t]")


def test_missing_setting_and_no_section() -> None:
    with pytest.raises(ConfigError, match=r"^\[t\] needs the setting 'name', which is not given; add it\.$"):
        settings(Training, {}, "[t]")
    with pytest.raises(ConfigError, match=r"^\[t\] must be a section of settings, got 5\.$"):
        settings(Training, 5, "[t]")  # type: ignore[arg-type]


floats = st.floats(allow_nan=False, allow_infinity=False)
optimizers = st.builds(Optimizer, learning_rate=floats, betas=st.tuples(floats, floats))
trainings = st.builds(
    Training,
    name=st.text(),
    epochs=st.integers(1, 10**6),
    dropout=st.floats(0, 1, exclude_max=True),
    pooling=st.sampled_from(["mean", "cls", "last"]),
    limit=st.none() | st.integers(14),
    seed=st.integers() | st.text(),
    amp=st.booleans(),
    widths=st.lists(st.integers()).map(tuple),
    out=st.none() | st.just(Path("runs/a")),
    optimizer=optimizers,
    warmup=st.none() | optimizers,
    stages=st.lists(optimizers, max_size=3).map(tuple),
    weights=st.dictionaries(st.text(), floats, max_size=3),
)


@given(trainings)
def test_round_trip(made: Training) -> None:
    stored = json.loads(json.dumps(to_dict(made)))
    again = settings(Training, stored, "[t]")
    assert again == made
    assert config_hash(again) == config_hash(made) == config_hash(stored)


def test_hash_is_stable() -> None:
    one = {"a": 1, "b": {"c": [1, 2], "d": "é"}}
    assert config_hash(one) == config_hash({"b": {"d": "é", "c": (1, 2)}, "a": 1})
    assert config_hash(one) != config_hash(one | {"a": 2})
    # printf '{"a":1,"b":{"c":[1,2],"d":"é"}}' | sha256sum
    assert config_hash(one) == "b6d26458a69195a3f9548b7255f45cacc4c1a31b40bd1d6dc6eeff45efb10cff"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("training.epochs=5", {"training": {"epochs": 5, "dropout": 0.5}}),
        (" training.dropout = 1e-2 ", {"training": {"epochs": 1, "dropout": 0.01}}),
        ("model.name=sasrec", {"training": {"epochs": 1, "dropout": 0.5}, "model": {"name": "sasrec"}}),
        ("training.epochs='5'", {"training": {"epochs": "5", "dropout": 0.5}}),
        ("training.epochs=[1, 2]", {"training": {"epochs": [1, 2], "dropout": 0.5}}),
        ("training.epochs=true", {"training": {"epochs": True, "dropout": 0.5}}),
        ("training.epochs=a=b", {"training": {"epochs": "a=b", "dropout": 0.5}}),
        ("training.epochs=1\nx=2", {"training": {"epochs": "1\nx=2", "dropout": 0.5}}),
        ("training.optimizer.lr=2", {"training": {"epochs": 1, "dropout": 0.5, "optimizer": {"lr": 2}}}),
    ],
)
def test_override(assignment: str, expected: dict[str, Any]) -> None:
    values = {"training": {"epochs": 1, "dropout": 0.5}}
    assert override(values, [assignment]) == expected
    assert values == {"training": {"epochs": 1, "dropout": 0.5}}


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("epochs=5", "is not of the form section.key=value"),
        ("training.epochs", "is not of the form section.key=value"),
        ("training.epochs=", "is not of the form section.key=value"),
        ("training..epochs=5", "is not of the form section.key=value"),
        ("=5", "is not of the form section.key=value"),
        ("training.widths=[1, 2", "close its quote or bracket"),
        ("training.name='a", "close its quote or bracket"),
        ("training.epochs.more=5", "needs a section, but 'training.epochs' is the value 1"),
    ],
)
def test_override_mistakes(assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        override({"training": {"epochs": 1}}, [assignment])
    assert sentence in str(error.value)
    assert assignment in str(error.value)


@given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_override_reads_what_toml_writes(value: bool | int | float) -> None:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    got = override({}, [f"a.b={text}"])["a"]["b"]
    assert (got, type(got)) == (value, type(value))


def test_read_toml(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[training]\nepochs = 3\n", encoding="utf-8")
    assert read_toml(path) == {"training": {"epochs": 3}}
    path.write_text("[training]\nepochs = 3\n", encoding="utf-8-sig")
    assert read_toml(path) == {"training": {"epochs": 3}}
    path.write_text("[training]\nepochs = \n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a\.toml is not valid TOML: .*line 2.*; correct it there\.$"):
        read_toml(path)
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"a\.toml is not UTF-8 text \(byte 5\); save it as UTF-8\.$"):
        read_toml(path)
    with pytest.raises(ConfigError, match=r"b\.toml does not exist; check the path\.$"):
        read_toml(tmp_path / "b.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path)
