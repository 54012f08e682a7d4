from __future__ import annotations

import torch
from torch import nn

from lrdgraph.nn.relational_attention import RelationMixer, relational_attention


def test_against_a_loop() -> None:
    torch.manual_seed(0)
    history, query = torch.randn(3, 4, 5), torch.randn(3, 2, 3, 5)
    valid = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]]).bool()
    weight = torch.rand(3, 1, 4, 3)
    found = relational_attention(history, valid, query, weight)
    for b in range(3):
        for c in range(2):
            for s in range(3):
                expected = torch.zeros(5)
                if valid[b].any():
                    events = history[b, valid[b]]
                    share = (events @ query[b, c, s]).softmax(0) * weight[b, 0, valid[b], s]
                    expected = share @ events
                torch.testing.assert_close(found[b, c, s], expected)


def test_without_weights_shares_add_up_to_one() -> None:
    history = torch.ones(2, 3, 4)
    valid = torch.ones(2, 3, dtype=torch.bool)
    torch.testing.assert_close(relational_attention(history, valid, torch.randn(2, 5, 6, 4)), torch.ones(2, 5, 6, 4))


def test_a_history_without_events_has_a_finite_gradient() -> None:
    history = torch.randn(1, 3, 4, requires_grad=True)
    relational_attention(history, torch.zeros(1, 3, dtype=torch.bool), torch.randn(1, 1, 2, 4)).sum().backward()
    assert history.grad is not None
    assert torch.equal(history.grad, torch.zeros(1, 3, 4))


def test_the_mixer_is_torchs_own_attention() -> None:
    torch.manual_seed(0)
    mixer = RelationMixer(8, 3, 2).double()
    x = torch.randn(2, 3, 5, 8, dtype=torch.double)
    theirs = nn.MultiheadAttention(8, 2, bias=False, batch_first=True).double()
    theirs.in_proj_weight = mixer.attend.weight
    theirs.out_proj.weight = nn.Parameter(torch.eye(8, dtype=torch.double))
    expected = x.view(6, 5, 8)
    for _ in range(3):
        out, _ = theirs(expected, expected, expected)
        expected = mixer.norm(expected + mixer.outer(torch.relu(mixer.inner(out))))
    torch.testing.assert_close(mixer(x), expected.view_as(x))


def test_large_logits_take_the_careful_path_and_agree() -> None:
    torch.manual_seed(0)
    mixer = RelationMixer(8, 1, 2)
    with torch.no_grad():
        mixer.attend.weight.mul_(60)
    x = torch.randn(4, 5, 8)
    exact = RelationMixer(8, 1, 2).double()
    exact.load_state_dict({name: tensor.double() for name, tensor in mixer.state_dict().items()})
    q, k, _ = mixer.attend(x).detach().chunk(3, dim=-1)
    assert float((q @ k.mT).abs().max()) > 200
    torch.testing.assert_close(mixer(x).double(), exact(x.double()), rtol=1e-3, atol=1e-4)


def test_gradients_in_double_precision() -> None:
    torch.manual_seed(0)
    mixer = RelationMixer(4, 2, 2).double()
    x = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(mixer, (x,))
    weights = dict(mixer.named_parameters())
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(mixer, {**weights, "attend.weight": w}, (x,)), (mixer.attend.weight,)
    )
