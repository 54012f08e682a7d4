"""What texts say of a pair before any training: whether it is nearer than chance, and what it is about.

A mixture of relations has many optima, and from random weights each start of training ends in another: the relations
that two seeds find then have little in common. So discovery begins, as expectation-maximisation of a mixture commonly
does, from clusters of the data, and keeps them as its prior: a relation departs from what the texts say as far as the
pairs that people bring together pay for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lrdgraph.discovery.encoders import InteractionEncoder
from lrdgraph.discovery.likelihood import draw_items
from lrdgraph.errors import ConfigError
from lrdgraph.nn.moments import MANY

if TYPE_CHECKING:
    from lrdgraph.discovery.dvae import RelationDVAE

MOST_PAIRS = 100_000
ODDS = 1.5
"""So many times as often as by chance must a pair's closeness occur for "some relation" to be as likely as "none"."""
SHARPNESS = 8.0
"""Of the step from "none" to "some relation", in the logarithm of these odds."""
DECIDED = 3.0
"""Mean deviation of a pair's logits among the relations."""
NOISE = 0.02
"""Of the weights' deviation, added to them."""


def start_from_texts(dvae: RelationDVAE, pairs: Tensor) -> None:
    """Set the encoder of ``dvae`` to what texts alone say of pairs, and its prior to the same.

    With ``y`` the main directions of the standardised texts (of a sample of 100,000 where there are more than twice as
    many), as many as the encoder is wide:

    - *near*: a logistic regression on ``y_i ⊙ y_j`` tells the pairs of histories from pairs drawn from popularity. Its
      logit estimates ``log f₁/f₀``, how many times as often as by chance such a pair occurs. "none" is the likelier
      state where that is below log 1.5. Texts that say nothing of histories leave almost every pair there.
    - *about*: k-means puts the means ``(y_i + y_j) / 2`` of the near pairs into K clusters, the relations.

    Which pairs are drawn and where k-means starts are always the same, so that the start follows from the data: two
    optima of k-means may be as good, and every seed should take the same. A little noise, of torch's own generator, is
    added to all weights.

    Args:
        dvae: with an interaction encoder; its encoder is overwritten.
        pairs: ``(2, P)`` items of one history; a sample of 100,000 is used of more.

    Raises:
        ConfigError: another encoder, fewer than two pairs for each relation, or the published objective's states.
    """
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LogisticRegression

    encoder, k, first = dvae.encoder, dvae.num_latent, int(dvae.none_state)
    if not isinstance(encoder, InteractionEncoder):
        raise ConfigError("A prior from texts needs the interaction encoder; set the prior to 'uniform'.")
    fixed = torch.Generator().manual_seed(0)
    pairs = pairs.cpu()[:, torch.randperm(pairs.size(1), generator=fixed)[:MOST_PAIRS]]
    if pairs.size(1) < 2 * k:
        raise ConfigError(
            f"A prior from texts needs 2 pairs of training events for each of {k} relations, and there are "
            f"{pairs.size(1)}; set the prior to 'uniform'."
        )
    with torch.no_grad():
        some = dvae.text[1:]
        if len(some) > MANY:
            some = some[torch.randint(len(some), (MOST_PAIRS,), generator=fixed).to(some.device)]
        axes = _main_directions(dvae.standard(some).cpu(), encoder.head.weight.size(0))
        y = torch.cat([dvae.standard(part).cpu() @ axes.T for part in dvae.text.split(MANY)])  # (N + 1, D)
        i, j = pairs
        a, b = draw_items(dvae.log_popularity.cpu(), 2 * pairs.size(1), fixed).view(2, -1)
        products = torch.cat([y[i] * y[j], y[a] * y[b]]).numpy()
        near = LogisticRegression(max_iter=500).fit(products, np.repeat([1, 0], pairs.size(1)))
        weight, bias = torch.from_numpy(near.coef_[0]).to(y), float(near.intercept_[0])
        close = pairs[:, (y[i] * y[j]) @ weight + bias > math.log(ODDS)]
        means = (y[pairs] if close.size(1) < 100 * k else y[close]).mean(0)
        about = KMeans(k, n_init=10, random_state=0).fit(means.numpy())
        centres = torch.from_numpy(about.cluster_centers_).to(y)  # (K, D)
        # the squared distance to a centre, less what all centres have in common, which no softmax sees
        slope, level = centres - centres.mean(0), centres.square().sum(1)
        level = level - level.mean()
        logits = 2 * means @ slope.T - level
        scale = DECIDED / float(logits.std(1).mean().clamp(min=1e-6)) if k > 1 else 1.0

        for module in (encoder.head, encoder.tail):
            module.weight.copy_(axes)
        for parameter in (encoder.both, encoder.head_only, encoder.tail_only, encoder.bias):
            parameter.zero_()
        encoder.head_only[first:] = encoder.tail_only[first:] = scale * slope
        encoder.bias[first:] = -scale * level
        if first:
            encoder.both[0] = -SHARPNESS * weight
            encoder.bias[0] = SHARPNESS * (math.log(ODDS) - bias) + (scale * logits).logsumexp(1).mean()
        for parameter in encoder.parameters():
            parameter.add_(NOISE * torch.randn_like(parameter) * parameter.std(correction=0))
    dvae.keep_prior()


def tables_from_texts(dvae: RelationDVAE, closeness: float = 8.0, spread: float = 0.3) -> None:
    """Set the own tables of ``dvae`` so that the decoder begins as the likeness of texts.

    Items are the main directions of the standardised texts, of mean square length ``closeness``, and every relation is
    1 in each of them, with noise of deviation ``spread`` that keeps the relations apart. A relation then begins as a
    scaled cosine that weighs directions in its own way, and learns where likeness misleads. The noise is drawn by
    torch's own generator.

    Raises:
        ConfigError: the dvae holds no tables.
    """
    if dvae.project is None or dvae.relation_vectors is None:
        raise ConfigError("Tables from texts need own tables; set own_tables.")
    with torch.no_grad():
        axes = _main_directions(dvae.standard(dvae.text)[1:].cpu(), dvae.hidden_channels)
        dvae.project.weight.copy_(closeness**0.5 * axes)
        dvae.relation_vectors.copy_(1 + spread * torch.randn_like(dvae.relation_vectors))


def _main_directions(text: Tensor, width: int) -> Tensor:
    """``(width, T)`` principal directions of ``(N, T)``, scaled so that ``Σ_d y_d²`` is 1 on average; zeros pad."""
    _, _, directions = torch.linalg.svd(text, full_matrices=False)
    axes = text.new_zeros(width, text.size(1))
    found = min(width, len(directions))
    axes[:found] = directions[:found]
    return axes / (text @ axes.T).square().sum(1).mean().sqrt().clamp(min=1e-6)
