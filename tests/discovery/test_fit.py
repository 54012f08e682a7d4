"""Discovery by itself: it learns, it repeats itself, and it says what it lacks."""

from __future__ import annotations

import pytest
import torch

from lrdgraph.discovery import RelationDVAE, discover
from lrdgraph.errors import ConfigError

TEXT = torch.cat([torch.zeros(1, 4), torch.eye(4).repeat_interleave(5, 0) + 0.1 * torch.arange(20)[:, None]])


def chains() -> torch.Tensor:
    """Items 1 … 5 lead to 6 … 10 and 11 … 15 to 16 … 20."""
    i = torch.cat([torch.arange(1, 6), torch.arange(11, 16)])
    return torch.stack([i.repeat(20), (i + 5).repeat(20)])


def trained(seed: int, **settings: int) -> tuple[RelationDVAE, list[dict[str, float]]]:
    torch.manual_seed(0)
    dvae = RelationDVAE(TEXT, num_latent=2, hidden_channels=8, num_negatives=16)
    return dvae, discover(dvae, chains(), batch_size=64, seed=seed, **settings)


def test_the_loss_falls() -> None:
    _, log = trained(0, epochs=15)
    assert log[-1]["total"] < log[0]["total"] - 0.3
    assert len(log) == 15


def test_every_term_and_figure_is_logged() -> None:
    _, log = trained(0, epochs=1)
    terms = {"total", "reconstruction_tail", "reconstruction_head", "kl", "entropy"}
    figures = {f"relations/{name}" for name in ("perplexity", "entropy", "information", "largest_share")}
    assert set(log[0]) == terms | figures


def test_the_same_seed_trains_the_same() -> None:
    (one, first), (again, second), (_, third) = (trained(seed, epochs=3) for seed in (1, 1, 2))
    assert first == second != third
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))


def test_global_chance_is_neither_read_nor_moved() -> None:
    _, log = trained(1, epochs=1)
    torch.manual_seed(0)
    dvae = RelationDVAE(TEXT, num_latent=2, hidden_channels=8, num_negatives=16)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert discover(dvae, chains(), epochs=1, batch_size=64, seed=1) == log
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shape", [(2, 0), (3, 5), (4,)])
def test_pairs_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"Pairs must be \(2, P\) with at least one pair; got "):
        discover(RelationDVAE(TEXT, 2, 8), torch.ones(shape, dtype=torch.int64))


def test_a_dvae_without_tables() -> None:
    with pytest.raises(ConfigError, match="holds no tables of its own"):
        discover(RelationDVAE(TEXT, 2, 8, own_tables=False), chains())


def test_tables_learn_at_a_rate_of_their_own() -> None:
    torch.manual_seed(0)
    dvae = RelationDVAE(TEXT, num_latent=2, hidden_channels=8, num_negatives=16, free_vectors=True)
    before = {name: parameter.clone() for name, parameter in dvae.named_parameters()}
    discover(dvae, chains(), batch_size=64, epochs=1, table_rate=0.0)
    still = {name for name, parameter in dvae.named_parameters() if torch.equal(parameter, before[name])}
    assert still == {"item_vectors", "relation_vectors"}
