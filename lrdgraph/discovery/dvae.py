"""The relation DVAE: a discrete latent relation for each ordered pair of items, told by their texts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from lrdgraph.discovery.decoders import initial_relations, make_decoder
from lrdgraph.discovery.encoders import PairEncoder, PlainText, StandardText, check_text, make_encoder
from lrdgraph.discovery.likelihood import base_measure, cumulative_popularity, draw_cumulative, log_likelihoods
from lrdgraph.discovery.objectives import DiscoveryLoss, elbo, guided, log_prior_of, published, straight_through
from lrdgraph.errors import ConfigError
from lrdgraph.nn.sparse_products import PairProduct, Pattern, block_size


class RelationDVAE(nn.Module):
    """Discrete variational autoencoder of relations: ``q(r | i, j)`` from text, ``p(j | i, r)`` from item vectors.

    After *Sequential Recommendation with Latent Relations based on Large Language Model* (arXiv 2403.18348), with an
    exact sum over relations in place of a sample.

    **No relation.** With ``none_state``, state 0 means "none": under it both items come from the training popularity.
    Each loss also shows random pairs, both items drawn from popularity. Such a pair is explained by popularity as well
    as by anything, and worse by every relation that has learned something (by Jensen's inequality, its scores are below
    their normaliser on average), so the bound itself teaches the encoder to answer "none"; no label is needed.

    **Prior.** ``p(r)`` is the same for all pairs, or, after :func:`lrdgraph.discovery.text_prior.start_from_texts`,
    ``p(r | i, j)`` as texts alone give it.

    **Many relations.** The exact sum asks the decoder about every relation of every pair. With ``estimator="gumbel"``
    it is asked about one relation of each pair, drawn by :func:`lrdgraph.discovery.objectives.straight_through` from
    those other than "none"; "none", which costs nothing, still counts with its exact mass. K is then the width of the
    encoder's logits and no more. The gradient to the encoder is noisy and, the decoder being no linear function of its
    relation vector, biased a little.

    Args:
        text: ``(N + 1, T)`` frozen language vectors, row 0 for padding; a buffer that is not saved. In half precision
            it stays so, and rows are converted as they are read.
        num_latent: ``K`` latent relations.
        hidden_channels: ``D``, width of the encoder, and of own tables.
        encoder, decoder: registered names.
        none_state: reserve state 0 for "none"; ``S = K + 1`` states, else ``S = K``.
        beta: weight of the KL term. At 2 the two likelihoods of a pair, of its tail and of its head, count as one.
        popularity: ``(N + 1,)`` training counts, the base measure of the decoder; None for uniform.
        num_negatives: sample size of the softmax, or None for the whole catalogue.
        random_share: random pairs shown for each true pair, with ``none_state``.
        prior: ``(S,)`` weights of ``p(r)``; None for uniform.
        own_tables: hold item vectors (a learned projection of the text) and relation vectors; without them every loss
            is given those of a recommender.
        free_vectors: own item vectors are the projection and a learned vector of each item, ``W t_i + e_i``: what the
            pairs tell of an item beyond its text. They need own tables.
        standardise: bring the text to mean 0 and one scale, as encoders expect it; the public LRD code does not.
        estimator: ``"exact"`` sums over relations, ``"gumbel"`` samples one.
        temperature: of ``"gumbel"``; an attribute that may be lowered between steps.

    Raises:
        ConfigError: a setting is out of range or a name unknown.
        DataError: text or popularity is malformed.
    """

    text: Tensor
    log_popularity: Tensor
    log_prior: Tensor
    prior_encoder: PairEncoder | None

    def __init__(
        self,
        text: Tensor,
        num_latent: int = 5,
        hidden_channels: int = 64,
        *,
        encoder: str = "interaction",
        decoder: str = "distmult",
        none_state: bool = True,
        beta: float = 1.0,
        popularity: Tensor | None = None,
        num_negatives: int | None = None,
        random_share: float = 0.25,
        prior: Sequence[float] | None = None,
        own_tables: bool = True,
        free_vectors: bool = False,
        standardise: bool = True,
        estimator: Literal["exact", "gumbel"] = "exact",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if estimator not in ("exact", "gumbel") or not 0 < temperature < inf:
            raise ConfigError("estimator must be 'exact' or 'gumbel', and temperature above 0.")
        check_text(text)
        # a recommender's vectors have a width of their own, and a relation that is drawn needs no room beside others
        most = hidden_channels if own_tables and estimator == "exact" else inf
        _check(num_latent, most, beta, num_negatives, random_share)
        self.num_latent, self.hidden_channels, self.none_state = num_latent, hidden_channels, none_state
        self.beta, self.num_negatives, self.random_share = beta, num_negatives, random_share
        self.encoder_name, self.decoder_name = encoder, decoder
        self.estimator, self.temperature = estimator, temperature
        self.num_states = num_latent + int(none_state)
        half = text.dtype in (torch.float16, torch.bfloat16)
        self.register_buffer("text", text.detach() if half else text.detach().float(), persistent=False)
        self.register_buffer("log_popularity", base_measure(popularity, len(text) - 1), persistent=False)
        self.register_buffer("log_prior", log_prior_of(prior, self.num_states), persistent=False)
        self.standard = StandardText(self.text[1:]) if standardise else PlainText()
        self._cumulative = cumulative_popularity(self.log_popularity)
        self.encoder = make_encoder(encoder, text.shape[1], self.num_states, hidden_channels)
        self.prior_encoder = None
        self.register_load_state_dict_pre_hook(_room_for_prior)
        self.decoder = make_decoder(decoder)
        self.project: nn.Linear | None = None
        self.item_vectors: nn.Parameter | None = None
        self.relation_vectors: nn.Parameter | None = None
        if free_vectors and not own_tables:
            raise ConfigError("free_vectors are part of own tables; set own_tables, or leave them out.")
        if own_tables:
            self.project = nn.Linear(text.shape[1], hidden_channels, bias=False)
            nn.init.normal_(self.project.weight, std=0.5 * text.shape[1] ** -0.5)
            self.relation_vectors = nn.Parameter(initial_relations(num_latent, hidden_channels))
        if free_vectors:
            self.item_vectors = nn.Parameter(0.01 * torch.randn(len(text), hidden_channels))

    def logits(self, i: Tensor, j: Tensor) -> Tensor:
        """Encoder logits ``(P, S)`` of pairs ``(P,)``; what depends on one item is computed once for each item."""
        return self._logits(self.encoder, i, j)

    def _logits(self, encoder: PairEncoder, i: Tensor, j: Tensor) -> Tensor:
        nodes, where = torch.cat([i.flatten(), j.flatten()]).unique(return_inverse=True)
        terms = encoder.items(self.standard(embedding(nodes, self.text)))
        first, second = where.split([i.numel(), j.numel()])
        return encoder.pairs(terms, first.view_as(i), second.view_as(j))

    def keep_prior(self) -> None:
        """Make what the encoder says now the prior ``p(r | i, j)``; the copy is frozen and saved with the weights."""
        self.prior_encoder = deepcopy(self.encoder).requires_grad_(False)

    def _log_prior(self, i: Tensor, j: Tensor) -> Tensor:
        """``(S,)`` of all pairs, or ``(P, S)`` of each."""
        if self.prior_encoder is None:
            return self.log_prior
        with torch.no_grad():
            return self._logits(self.prior_encoder, i, j).log_softmax(-1)

    def state_posterior(self, i: Tensor, j: Tensor) -> Tensor:
        """``q(state | i, j)`` ``(P, S)``, "none" first where there is one; rows sum to 1."""
        return self.logits(i, j).softmax(-1)

    def posterior(self, i: Tensor, j: Tensor) -> Tensor:
        """``q(r | i, j)`` ``(P, K)`` of the latent relations alone; a row sums to 1 − q(none)."""
        return self.state_posterior(i, j)[..., int(self.none_state) :]

    def ends_posterior(self, i: Tensor, j: Tensor) -> Tensor:
        """:meth:`posterior` ``(P, K)`` of pairs ``(P,)`` of which many share an end; each end is computed once."""
        (first, at), (second, to) = (item.unique(return_inverse=True) for item in (i, j))
        text = (self.standard(self.text.index_select(0, nodes)) for nodes in (first, second))
        terms, shift = self.encoder.ends(*text)
        return self.encoder.pairs(terms, at, to + shift).softmax(-1)[:, int(self.none_state) :]

    @torch.no_grad()
    def posterior_of_many(self, i: Tensor, j: Tensor) -> Tensor:
        """:meth:`state_posterior` ``(P, S)`` without gradients, for millions of pairs.

        Each item's part is made once; items and pairs go through in blocks that a processor's cache holds.
        """
        texts = self.text.split(block_size())
        lefts, rights, weights = zip(
            *(self.encoder.factors(self.encoder.items(self.standard(t))) for t in texts), strict=True
        )
        left, right, weight = torch.cat(lefts), torch.cat(rights), weights[0]
        found = left.new_empty(len(i), self.num_states)
        for start in range(0, len(i), block_size()):
            part = slice(start, start + block_size())
            ends = left.index_select(0, i[part]).mul_(right.index_select(0, j[part]))
            found[part] = (weight @ ends.T).softmax(0).T
        return found

    def pattern_posterior(self, pattern: Pattern) -> Tensor:
        """:meth:`state_posterior` ``(E, S)`` of the pairs (row i, column j) of a pattern; made for many fixed pairs."""
        if not torch.is_grad_enabled():
            return self.posterior_of_many(pattern.row, pattern.column)
        left, right, weight = self.encoder.factors(self.encoder.items(self.standard(self.text)))
        logits: Tensor = PairProduct.apply(left, right, weight, pattern)  # (S, E)
        # over the few states of many pairs a softmax is several times faster along the first dimension
        return logits.softmax(0).T.contiguous()

    def tables(self, items: Tensor | None = None, relations: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Item and relation vectors: those given, else own ones.

        Raises:
            ConfigError: a table is neither given nor owned.
        """
        if items is None and self.project is not None:
            items = self.project(self.standard(self.text))
            items = items if self.item_vectors is None else items + self.item_vectors
        relations = self.relation_vectors if relations is None else relations
        if items is None or relations is None:
            raise ConfigError("This RelationDVAE holds no tables of its own; give items and relations to its loss.")
        if len(relations) != self.num_latent and relations is not self.relation_vectors:
            raise ConfigError(f"There are {len(relations)} relation vectors for {self.num_latent} latent relations.")
        if relations.shape[1] != items.shape[1]:
            raise ConfigError(
                f"Relation vectors are {relations.shape[1]} wide and item vectors {items.shape[1]}; "
                "set hidden_channels to the items' width, or give relations as well."
            )
        return items, relations

    def loss(
        self,
        i: Tensor,
        j: Tensor,
        items: Tensor | None = None,
        relations: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        warm_up: bool = False,
    ) -> DiscoveryLoss:
        """The composite ELBO of pairs, to be minimised (:func:`lrdgraph.discovery.objectives.elbo`).

        Args:
            i, j: ``(P,)`` items of one history, i before j.
            items: ``(N + 1, D)`` raw item vectors of a recommender; own ones where None.
            relations: ``(K, D)``; own ones where None.
            generator: source of random pairs and negatives; torch's own where None.
            warm_up: minimise :func:`lrdgraph.discovery.objectives.guided` instead, for the first part of a training.

        Raises:
            ConfigError: a table is missing or of the wrong width, or a warm-up meets beta 0 or a sampled relation.
        """
        if items is not None and len(items) != len(self.text):
            raise ConfigError(
                f"There are {len(items)} item vectors for {len(self.text)} rows of text; row 0 of both is padding."
            )
        items, relations = self.tables(items, relations)
        return self.loss_of(*self.draw(i, j, generator), items, relations, generator, warm_up=warm_up)

    def draw(self, i: Tensor, j: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs ``(P,)``, ``(P,)`` with random ones after them where there is a "none" state, and negatives ``(n,)``.

        ``n`` is 0 where the softmax is over the whole catalogue.
        """
        if self.none_state:
            number = round(self.random_share * len(i))
            drawn = self._draw(2 * number, generator)
            i, j = torch.cat([i, drawn[:number]]), torch.cat([j, drawn[number:]])
        return i, j, self._draw(self.num_negatives or 0, generator)

    def _draw(self, number: int, generator: torch.Generator | None) -> Tensor:
        if self._cumulative.device != self.log_popularity.device:
            self._cumulative = cumulative_popularity(self.log_popularity)
        return draw_cumulative(self._cumulative, number, generator)

    def loss_of(
        self,
        i: Tensor,
        j: Tensor,
        negatives: Tensor,
        items: Tensor,
        relations: Tensor,
        generator: torch.Generator | None = None,
        *,
        nodes: Tensor | None = None,
        warm_up: bool = False,
    ) -> DiscoveryLoss:
        """:meth:`loss` of what :meth:`draw` gave.

        Args:
            i, j, negatives: from :meth:`draw`.
            items: ``(n, D)`` raw item vectors.
            relations: ``(K, D)``.
            generator: source of Gumbel noise.
            nodes: ``(n,)`` rising items that ``items`` are the vectors of, with all of ``i``, ``j`` and ``negatives``
                among them; all of them where None.
            warm_up: as in :meth:`loss`.
        """
        if warm_up and not self.beta:
            raise ConfigError("A warm-up needs a beta above 0; train without it, or set beta.")
        if warm_up and self.estimator == "gumbel":
            raise ConfigError("A warm-up needs every relation of a pair; train without it, or set estimator='exact'.")
        logits, weight = self.logits(i, j), None
        if self.estimator == "gumbel":
            first = int(self.none_state)
            drawn = straight_through(logits[:, first:], self.temperature, generator)
            relations = (drawn @ relations)[:, None]  # (P, 1, D)
            none = logits.softmax(-1)[:, :first]
            weight = torch.cat([none, 1 - none.sum(-1, keepdim=True)], dim=1)
        base, head, tail, others = self.log_popularity, i, j, negatives
        if nodes is not None:
            base = base.index_select(0, nodes)
            head, tail, others = (torch.searchsorted(nodes, item) for item in (i, j, negatives))
        sample = None if self.num_negatives is None else others
        log_tail, log_head = log_likelihoods(self.decoder, items, relations, head, tail, base, sample)
        if self.none_state:
            log_tail = torch.cat([base[tail][:, None], log_tail], dim=1)
            log_head = torch.cat([base[head][:, None], log_head], dim=1)
        log_prior = self._log_prior(i, j)
        if warm_up:
            return guided(logits, log_tail, log_head, log_prior, self.beta)
        return elbo(logits, log_tail, log_head, log_prior, self.beta, weight)

    def published_loss(
        self,
        history: Tensor,
        target: Tensor,
        negative: Tensor,
        items: Tensor,
        relations: Tensor,
        alpha: float = 0.1,
        *,
        skip_first: bool = True,
    ) -> DiscoveryLoss:
        """The objective of the public LRD code (:func:`lrdgraph.discovery.objectives.published`).

        Args:
            history, negative: ``(B, H)`` items and one random item for each.
            target: ``(B,)``.
            items: ``(N + 1, D)``.
            relations: ``(S, D)``, one for every state, the virtual and the predefined ones included.
            alpha: weight of the entropy.
            skip_first: leave the first state out of the reconstruction.
        """
        row, slot = history.nonzero(as_tuple=True)
        heads, tails = torch.cat([history[row, slot], torch.zeros_like(target)]), torch.cat([target[row], target])
        of_pairs, padding = self.logits(heads, tails).split([len(row), len(target)])
        given = (of_pairs, padding, items, relations, history, target, negative)
        return published(*given, alpha=alpha, skip_first=skip_first)

    def extra_repr(self) -> str:
        none = "+ none" if self.none_state else "no none"
        return (
            f"{len(self.text) - 1:,} items, {self.num_latent} latent relations {none}, q: {self.encoder_name}, "
            f"p: {self.decoder_name}, width {self.hidden_channels}, beta {self.beta}"
        )


def _room_for_prior(dvae: RelationDVAE, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights that hold a prior of each pair may be loaded into a model that has none yet."""
    if dvae.prior_encoder is None and any(name.startswith(f"{prefix}prior_encoder.") for name in state):
        dvae.keep_prior()


def _check(num_latent: int, most: float, beta: float, drawn: int | None, random_share: float) -> None:
    if not 1 <= num_latent <= most:
        bounds = "be 1 or more" if most == inf else f"lie between 1 and hidden_channels, {most}"
        raise ConfigError(f"num_latent is {num_latent}; it must {bounds}.")
    if not (0 <= beta < inf and 0 <= random_share < inf) or (drawn is not None and drawn < 1):
        raise ConfigError("beta and random_share must be 0 or more and num_negatives 1 or more.")
