from __future__ import annotations

import pytest

from lrdgraph.errors import ConfigError
from lrdgraph.evaluation import EvaluationSettings


def test_a_list_of_cut_offs_from_a_file_is_kept_as_a_tuple():
    assert EvaluationSettings(ks=[1, 20]).ks == (1, 20)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ties", "random"),
        ("request", "now"),
        ("protocols", "sampled"),
        ("ks", ()),
        ("ks", (0,)),
        ("ks", (5, 5)),
        ("ks", (2.5,)),
        ("batch_size", 0),
        ("item_chunk", 1),
    ],
)
def test_a_wrong_setting_is_named(setting, value):
    with pytest.raises(ConfigError, match=rf"\[evaluation\] {setting} is"):
        EvaluationSettings(**{setting: value})
