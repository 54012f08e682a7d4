"""Relation evidence by sorted segments against plain loops over positions, events and edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrdgraph.models.evidence import (
    EdgeLists,
    MixtureEvidence,
    Pairs,
    TypedEvidence,
    add_evidence,
    explanation,
    history_pairs,
)
from lrdgraph.nn.time import DecayKernel

N, R, K, E = 7, 3, 2, 20


class World:
    """Random histories with padding, positions that ask, and edges, among them several between the same two items."""

    def __init__(self, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)
        self.history = torch.randint(1, N + 1, (4, 5), generator=g)
        for row, real in enumerate((5, 3, 1, 0)):
            self.history[row, : 5 - real] = 0
        self.time = torch.randint(0, 10**7, (4, 5), generator=g).sort(1).values * (self.history > 0)
        self.moment = self.time + 86_400
        self.columns = (self.history > 0).nonzero()
        self.edges = torch.randint(1, N + 1, (2, E), generator=g)
        self.edges[:, 1] = self.edges[:, 0]
        self.kind = torch.randint(R, (E,), generator=g)
        self.weight = torch.rand(E, generator=g, dtype=torch.float64)
        self.mixture = torch.rand(E, K, generator=g, dtype=torch.float64)

    def pairs(self) -> Pairs:
        return history_pairs(self.history, self.time, self.moment, self.columns)

    def logits(self) -> Tensor:
        return torch.zeros(len(self.columns), N + 1, dtype=torch.float64)


@pytest.fixture(params=range(3))
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def looped_pairs(world: World) -> list[tuple[int, int, int]]:
    found = []
    for position, (row, column) in enumerate(world.columns.tolist()):
        for event in range(column + 1):
            item = int(world.history[row, event])
            if item:
                found.append((position, item, int(world.moment[row, column] - world.time[row, event])))
    return found


def test_pairs_are_each_request_with_the_events_up_to_it(world: World) -> None:
    pairs = world.pairs()
    found = list(zip(pairs.position.tolist(), pairs.item.tolist(), pairs.gap.tolist(), strict=True))
    assert found == looped_pairs(world)
    assert len(found) == (1 + 2 + 3 + 4 + 5) + (1 + 2 + 3) + 1


def test_no_request_sees_an_event_after_it(world: World) -> None:
    before = world.pairs()
    early = before.position < 3  # the first three columns of row 0
    world.history[0, 3:] = 1
    after = world.pairs()
    for name in ("position", "item", "gap"):
        assert torch.equal(getattr(before, name)[early], getattr(after, name)[after.position < 3])


def test_edge_lists_give_every_edge_of_every_item_once() -> None:
    world = World()
    lists = EdgeLists(*world.edges, N)
    asked = torch.tensor([3, 1, 3, 0, 7])
    owner, edge = lists.expand(asked)
    found = sorted(zip(owner.tolist(), lists.order[edge].tolist(), strict=True))
    edges = enumerate(world.edges[0].tolist())
    assert found == sorted((o, e) for e, source in edges for o, item in enumerate(asked.tolist()) if item == source)
    assert torch.equal(lists.target[edge], world.edges[1][lists.order[edge]])


def test_typed_evidence_equals_a_loop(world: World) -> None:
    kernel = torch.rand(len(world.pairs().item), R, dtype=torch.float64)
    fast = TypedEvidence(world.edges, world.kind, world.weight, N)
    found = add_evidence(world.logits(), [fast(world.pairs(), kernel)])
    slow = world.logits()
    for q, (position, item, _) in enumerate(looped_pairs(world)):
        for e in range(E):
            if world.edges[0, e] == item:
                slow[position, world.edges[1, e]] += kernel[q, world.kind[e]] * world.weight[e]
    torch.testing.assert_close(found, slow)
    assert slow.count_nonzero() > 10


def test_mixture_evidence_equals_a_loop(world: World) -> None:
    kernel = torch.rand(len(world.pairs().item), K, dtype=torch.float64)
    fast = MixtureEvidence(world.edges, N)
    found = add_evidence(world.logits(), [fast(world.pairs(), kernel, world.mixture)])
    slow = world.logits()
    for q, (position, item, _) in enumerate(looped_pairs(world)):
        for e in range(E):
            if world.edges[0, e] == item:
                slow[position, world.edges[1, e]] += (kernel[q] * world.mixture[e]).sum()
    torch.testing.assert_close(found, slow)


def test_evidence_adds_to_what_is_there_and_counts_repeats() -> None:
    parts = [(torch.tensor([0, 0, 1]), torch.tensor([2, 2, 1]), torch.tensor([1.0, 2.0, 4.0]))]
    parts.append((torch.tensor([1]), torch.tensor([1]), torch.tensor([8.0])))
    start = torch.full((2, 4), 0.5)
    assert add_evidence(start, parts).tolist() == [[0.5, 0.5, 3.5, 0.5], [0.5, 12.5, 0.5, 0.5]]
    assert (start == 0.5).all()


def test_parts_told_as_reasons_are_what_was_added(world: World) -> None:
    rows = torch.arange(3)
    pairs = history_pairs(world.history, world.time, world.moment, torch.stack([rows, torch.full_like(rows, 4)], 1))
    kernel = torch.rand(len(pairs.item), R + K, dtype=torch.float64)
    typed, latent = TypedEvidence(world.edges, world.kind, world.weight, N), MixtureEvidence(world.edges, N)
    logits = torch.zeros(3, N + 1, dtype=torch.float64)
    scores = add_evidence(logits, [typed(pairs, kernel), latent(pairs, kernel[:, R:], world.mixture)])
    candidates = torch.tensor([[4, 1, 7], [2, 3, 5], [6, 5, 4]])
    parts = [typed.explain(pairs, kernel, candidates), latent.explain(pairs, kernel[:, R:], world.mixture, candidates)]
    told = explanation(pairs, parts, ("a", "b", "c"))
    total = torch.zeros(3, 3, dtype=torch.float64).index_put((told.row, told.column), told.value, accumulate=True)
    torch.testing.assert_close(total, scores.gather(1, candidates))


def test_gradients_to_kernel_and_mixture() -> None:
    world = World()
    pairs, decay = world.pairs(), DecayKernel(R + K).double()
    typed, latent = TypedEvidence(world.edges, world.kind, world.weight, N), MixtureEvidence(world.edges, N)

    def scores(lasting: Tensor, fading: Tensor, horizon: Tensor, mixture: Tensor) -> Tensor:
        values = {"lasting": lasting, "fading": fading, "horizon": horizon}
        kernel = torch.func.functional_call(decay, values, pairs.gap)
        parts = [typed(pairs, kernel), latent(pairs, kernel[:, R:], mixture)]
        return add_evidence(world.logits(), parts).square()

    values = [torch.rand(R + K, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    values.append(world.mixture.requires_grad_())
    assert torch.autograd.gradcheck(scores, values)


def test_empty_histories_and_missing_edges_add_nothing() -> None:
    history = torch.zeros(2, 3, dtype=torch.int64)
    columns = torch.tensor([[0, 2], [1, 2]])
    none = history_pairs(history, history, history, columns)
    typed = TypedEvidence(World().edges, World().kind, World().weight, N)
    assert not add_evidence(torch.zeros(2, N + 1), [typed(none, torch.rand(0, R))]).any()
    empty = TypedEvidence(torch.empty(2, 0).long(), torch.empty(0).long(), torch.empty(0), N)
    world = World()
    kernel = torch.rand(len(world.pairs().item), R)
    assert not add_evidence(world.logits(), [empty(world.pairs(), kernel)]).any()


def test_only_the_most_recent_events_speak_where_a_length_is_set() -> None:
    history = torch.tensor([[0, 4, 5, 6]])
    columns = torch.tensor([[0, 3], [0, 1]])
    pairs = history_pairs(history, history, history, columns, length=2)
    assert (pairs.position.tolist(), pairs.item.tolist()) == ([0, 0, 1], [5, 6, 4])
