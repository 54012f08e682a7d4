"""Discovery by itself: a short training loop for someone who wants relations and no recommender."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrdgraph.discovery.diagnostics import usage
from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.errors import ConfigError


def discover(
    dvae: RelationDVAE,
    pairs: Tensor,
    *,
    epochs: int = 20,
    batch_size: int = 512,
    learning_rate: float = 0.02,
    warm_up: float = 0.0,
    table_rate: float | None = None,
    seed: int = 0,
) -> list[dict[str, float]]:
    """Train a RelationDVAE with tables of its own.

    Args:
        dvae: trained in place.
        pairs: ``(2, P)`` items, i in row 0 before j in row 1, e.g. from
            :func:`lrdgraph.discovery.pairs.history_pairs`.
        epochs: passes over the pairs.
        batch_size: pairs in a step.
        learning_rate: of Adam. With a warm-up about ``0.1 / √T`` does well: a step of Adam moves every weight alike,
            and a projection of T of them the further the more they are.
        warm_up: share of the steps, from the first on, that minimise
            :func:`lrdgraph.discovery.objectives.guided`; 0.6 with ``beta = 2`` tells apart relations that a start
            without it runs together.
        table_rate: learning rate of relation vectors and free item vectors, of which a step moves one number alone;
            ``learning_rate`` where None.
        seed: of order, random pairs and negatives. Initial weights are those the dvae has.

    Returns:
        One entry per epoch: the mean of every loss term, and ``relations/…`` usage figures of the last batch.

    Raises:
        ConfigError: there are no pairs, warm_up is no share, or the dvae has no tables of its own.
    """
    if pairs.dim() != 2 or pairs.shape[0] != 2 or not pairs.shape[1]:
        raise ConfigError(f"Pairs must be (2, P) with at least one pair; got {tuple(pairs.shape)}.")
    if not 0 <= warm_up <= 1:
        raise ConfigError(f"warm_up is {warm_up}; it is the share of steps before the bound is trained, from 0 to 1.")
    generator = torch.Generator(device=pairs.device).manual_seed(seed)
    tables = [vectors for vectors in (dvae.relation_vectors, dvae.item_vectors) if vectors is not None]
    owned = {id(vectors) for vectors in tables}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in dvae.parameters() if id(parameter) not in owned]},
        {"params": tables, "lr": learning_rate if table_rate is None else table_rate},
    ]
    optimizer = torch.optim.Adam(groups, lr=learning_rate)
    warm_steps = warm_up * epochs * -(-pairs.shape[1] // batch_size)
    log, step = [], 0
    for _ in range(epochs):
        batches = torch.randperm(pairs.shape[1], generator=generator, device=pairs.device).split(batch_size)
        sums: dict[str, Tensor] = {}
        for rows in batches:
            i, j = pairs[:, rows]
            loss = dvae.loss(i, j, generator=generator, warm_up=step < warm_steps)
            optimizer.zero_grad(set_to_none=True)
            loss.total.backward()
            optimizer.step()
            step += 1
            for name, value in loss.terms().items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value
        with torch.no_grad():
            found = usage(dvae.state_posterior(i, j)).figures()
        figures = {f"relations/{name}": value for name, value in found.items()}
        log.append({name: float(value) / len(batches) for name, value in sums.items()} | figures)
    return log
