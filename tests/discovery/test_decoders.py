"""Decoders: hand-worked scores, and the fast scores of all candidates against the slow definition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrdgraph.discovery import decoders
from lrdgraph.discovery.decoders import Decoder, decoder_names, make_decoder, register_decoder
from lrdgraph.errors import ConfigError

HEAD, RELATION, TAIL = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0]), torch.tensor([2.0, 5.0])

# s(head, relation, tail) and s(tail, relation, head) of the vectors above, by hand:
# distmult   1·3·2 − 2·1·5;  the same
# complex    (1 + 2i)(3 − i) = 5 + 5i, times 2 − 5i, real part 35;  (2 + 5i)(3 − i) = 11 + 13i, times 1 − 2i: 37
# transe     −|(4, 1) − (2, 5)|² = −20;  −|(5, 4) − (1, 2)|² = −20
# published  3·(2 + 1 + 2) − 1·(10 + 2 + 5);  the same
WORKED = {"distmult": (-4.0, -4.0), "complex": (35.0, 37.0), "transe": (-20.0, -20.0), "published": (-2.0, -2.0)}
SYMMETRIC = {"distmult", "published"}


def test_every_registered_decoder_has_a_worked_value_here() -> None:
    assert set(decoder_names()) == set(WORKED)


@pytest.mark.parametrize("name", decoder_names())
def test_scores_are_those_worked_by_hand(name: str) -> None:
    decoder = make_decoder(name)
    forward, backward = WORKED[name]
    assert float(decoder.score(HEAD, RELATION, TAIL)) == pytest.approx(forward)
    assert float(decoder.score(TAIL, RELATION, HEAD)) == pytest.approx(backward)


@pytest.mark.parametrize("name", decoder_names())
def test_scores_of_all_candidates_equal_the_definition(name: str) -> None:
    decoder = make_decoder(name)
    given, relations, candidates = torch.randn(3, 6), torch.randn(4, 6), torch.randn(5, 6)
    tails, heads = torch.empty(3, 4, 5), torch.empty(3, 4, 5)
    for p in range(3):
        for k in range(4):
            for c in range(5):
                tails[p, k, c] = decoder.score(given[p], relations[k], candidates[c])
                heads[p, k, c] = decoder.score(candidates[c], relations[k], given[p])
    torch.testing.assert_close(decoder.score_tails(given, relations, candidates), tails)
    torch.testing.assert_close(decoder.score_heads(given, relations, candidates), heads)


@pytest.mark.parametrize("name", decoder_names())
def test_which_decoders_can_tell_a_relation_from_its_inverse(name: str) -> None:
    decoder, (head, relation, tail) = make_decoder(name), torch.randn(3, 6)
    same = torch.allclose(decoder.score(head, relation, tail), decoder.score(tail, relation, head))
    assert same == (name in SYMMETRIC)


def test_a_decoder_of_ones_own_needs_its_score_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_decoders", dict(decoders._decoders))

    @register_decoder("mine")
    class Mine(Decoder):
        """Manhattan TransE."""

        def score(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
            return -(head + relation - tail).abs().sum(-1)

    decoder = make_decoder("mine")
    given, relations, candidates = torch.randn(3, 6), torch.randn(4, 6), torch.randn(5, 6)
    tails, heads = (f(given, relations, candidates) for f in (decoder.score_tails, decoder.score_heads))
    assert tails.shape == heads.shape == (3, 4, 5)
    torch.testing.assert_close(tails[1, 2, 3], decoder.score(given[1], relations[2], candidates[3]))
    torch.testing.assert_close(heads[1, 2, 3], decoder.score(candidates[3], relations[2], given[1]))


def test_complex_needs_an_even_width() -> None:
    with pytest.raises(ConfigError, match="even width, got 3"):
        make_decoder("complex").score(*torch.randn(3, 3))


def test_an_unknown_decoder_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Unknown decoder 'dismult' \(did you mean 'distmult'\?\)"):
        make_decoder("dismult")
