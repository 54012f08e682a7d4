"""The flagship: discovered relations beside predefined ones, one graph, one sequential recommender, trained jointly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph import distributed
from lrdgraph.batch import Batch
from lrdgraph.discovery.diagnostics import Usage, usage
from lrdgraph.discovery.dvae import RelationDVAE, initial_relations
from lrdgraph.discovery.objectives import DiscoveryLoss
from lrdgraph.discovery.pairs import batch_pairs
from lrdgraph.discovery.pairs import history_pairs as neighbouring_pairs
from lrdgraph.discovery.text_prior import start_from_texts
from lrdgraph.errors import ConfigError
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.relations import Relation
from lrdgraph.models.base import pick
from lrdgraph.models.evidence import (
    Explanation,
    MixtureEvidence,
    Pairs,
    TypedEvidence,
    add_evidence,
    explanation,
    history_pairs,
    last_columns,
)
from lrdgraph.models.frozen import train_first
from lrdgraph.models.inputs import ModelInputs, discovery_text
from lrdgraph.models.latent_edges import HeldOutEvidence, latent_edges
from lrdgraph.models.negatives import UnseenItems
from lrdgraph.models.registry import register
from lrdgraph.models.sequential import SequentialRecommender, SequentialSettings
from lrdgraph.nn.catalogue_loss import Added
from lrdgraph.nn.losses import sampled_cross_entropy
from lrdgraph.nn.relational_conv import RelationalAdjacency, RelationalConv
from lrdgraph.nn.sparse_products import Pattern
from lrdgraph.nn.time import DecayKernel


@dataclass(frozen=True)
class FlagshipSettings(SequentialSettings):
    """Settings of the flagship; see :class:`SequentialSettings` for the rest.

    Attributes:
        graph_layers: relational convolutions; 0 for none.
        evidence: whether scores read the edges from history to candidate.
        evidence_length: how many of the most recent events they leave from.
        num_latent: ``K``; 0 for no latent relations.
        latent: ``"discovered"`` edges carry the DVAE's posterior, ``"fixed"`` edges all weigh the same (a control).
        text_neighbours, two_hop_neighbours: candidate pairs per item from nearest texts and from the predefined graph.
        cooccurrence_neighbours: candidate pairs per item from training histories. A pair that one person's events alone
            would make is no edge for the convolution, nor for that person in training.
        encoder, decoder, discovery_channels, none_state, beta: of the DVAE.
        discovery_prior: ``"texts"`` begins with, and stays near, what texts alone say of a pair
            (:func:`lrdgraph.discovery.text_prior.start_from_texts`); ``"uniform"`` begins at random.
        decoder_scale: the decoder reads item vectors times a learnt number, which begins so; they are short.
        discovery_text: ``"shuffled"`` deals the texts that discovery and candidate pairs read to the items at random (a
            control); item vectors read their own in any case.
        objective: ``"elbo"``, or ``"published"``, that of the public LRD code, which knows no "none" state.
        estimator: ``"exact"`` sums over the relations, ``"gumbel"`` draws one; for many relations.
        warm_up_epochs: in so many first ones the ELBO is trained as :func:`lrdgraph.discovery.objectives.guided` says.
        discovery_training: ``"joint"``, or ``"first"``: alone, before the first epoch, and then frozen.
        discovery_weight: λ of the joint loss.
        discovery_pairs: history pairs that the discovery loss sees in a step.
        knowledge_weight: γ of the joint loss.
        knowledge_edges: predefined edges that the knowledge loss sees in a step.
    """

    graph_layers: int = 1
    evidence: bool = True
    evidence_length: int = 20
    num_latent: int = 5
    latent: Literal["discovered", "fixed"] = "discovered"
    text_neighbours: int = 30
    two_hop_neighbours: int = 0
    cooccurrence_neighbours: int = 0
    encoder: str = "interaction"
    decoder: str = "distmult"
    discovery_channels: int = 32
    none_state: bool = True
    beta: float = 1.0
    discovery_prior: Literal["texts", "uniform"] = "texts"
    decoder_scale: float = 3.0
    discovery_text: Literal["own", "shuffled"] = "own"
    objective: Literal["elbo", "published"] = "elbo"
    estimator: Literal["exact", "gumbel"] = "exact"
    warm_up_epochs: int = 0
    discovery_training: Literal["joint", "first"] = "joint"
    discovery_weight: float = 0.5
    discovery_pairs: int = 512
    knowledge_weight: float = 0.0
    knowledge_edges: int = 512


@register("lrdgraph")
class Flagship(SequentialRecommender):
    """``s(u, c) = u · x̃_c + b_c + Σ_h Σ_r κ_r(Δt_h) · A_r[h, c]``, with latent relations among the ``r``.

    ``x̃`` comes out of relational convolutions over the enriched graph, ``u`` out of a causal transformer over the
    history's ``x̃``, and ``A`` holds the same edges, predefined and latent. The posterior that weighs latent edges stays
    on the tape, so the recommender's loss teaches the discovery encoder, also with ``discovery_weight = 0``.
    """

    Settings = FlagshipSettings
    name = "lrdgraph"
    pairs: Tensor
    lasting: Tensor | None

    def __init__(self, inputs: ModelInputs, settings: FlagshipSettings) -> None:
        super().__init__(inputs, settings)
        graph = inputs.need_graph(self.name)
        d, n, k = settings.hidden_channels, inputs.num_items, settings.num_latent
        self.graph = graph
        self.num_predefined = len(graph.relations)
        self.latent_relations = tuple(Relation(f"latent_{i}", "latent") for i in range(k))
        self.discovery = None
        pairs = lasting = torch.empty(2, 0, dtype=torch.int64)
        held_out = kept = None
        if k:
            text = discovery_text(inputs, settings.discovery_text, self.name)
            near, two_hop = settings.text_neighbours, settings.two_hop_neighbours
            edges = latent_edges(inputs, graph, text, near, two_hop, settings.cooccurrence_neighbours)
            pairs, lasting = edges.pairs, edges.pairs[:, edges.lasting]
            if lasting.size(1) < pairs.size(1):
                held_out, kept = HeldOutEvidence(edges, n), edges.lasting.nonzero().squeeze(1)
            if settings.objective == "published" and settings.none_state:
                raise ConfigError("The published objective has no 'none' state; set none_state to false.")
            if settings.latent == "discovered":
                self.discovery = RelationDVAE(
                    text,
                    k,
                    settings.discovery_channels,
                    encoder=settings.encoder,
                    decoder=settings.decoder,
                    none_state=settings.none_state,
                    beta=settings.beta,
                    popularity=inputs.popularity,
                    num_negatives=512,
                    own_tables=False,
                    estimator=settings.estimator,
                )
                if not settings.decoder_scale > 0:
                    raise ConfigError(f"decoder_scale is {settings.decoder_scale}; it must be above 0.")
                if self._joint and settings.objective == "elbo":
                    self.log_scale = nn.Parameter(torch.tensor(settings.decoder_scale).log())
                if settings.discovery_prior == "texts":
                    if settings.encoder != "interaction" or settings.objective == "published":
                        raise ConfigError(
                            "A prior from texts needs the interaction encoder and the ELBO; set discovery_prior to "
                            "'uniform'."
                        )
                    self.discovery.keep_prior()  # filled before the first epoch, or by a checkpoint
        self.warming_up = False
        self.unseen = UnseenItems(inputs.had[0], inputs.had[1], n)
        self.register_buffer("pairs", pairs, persistent=False)
        self.register_buffer("lasting", kept, persistent=False)
        self.pattern = Pattern.of(pairs[0], pairs[1], n + 1, n + 1)
        predefined = 1 + torch.randn(self.num_predefined, d) * d**-0.5
        latent = [initial_relations(k, d)] if k else []
        self.relations = nn.Parameter(torch.cat([predefined, *latent]))
        self.attribute_vectors = nn.Parameter(torch.randn(len(graph.attributes), d) * d**-0.5 / 4)
        self.convolutions = nn.ModuleList(
            RelationalConv(d, d, self.num_predefined, k, own_relations=False) for _ in range(settings.graph_layers)
        )
        if settings.graph_layers:
            self.adjacency = RelationalAdjacency.from_edges(
                graph.edge_index, graph.edge_type, graph.edge_weight, num_nodes=graph.num_rows, latent_index=lasting
            )
        if settings.evidence:
            between = (graph.edge_index <= n).all(0)
            source, target = graph.edge_index[:, between]
            self.kernel = DecayKernel(self.num_predefined + k)
            self.typed_evidence = TypedEvidence(
                torch.stack([source, target]), graph.edge_type[between], graph.edge_weight[between], n
            )
            self.latent_evidence = MixtureEvidence(pairs, n) if k else None
            self.held_out = held_out

    @property
    def _joint(self) -> bool:
        return self.settings.discovery_weight > 0 and self.settings.discovery_training == "joint"

    def mixture(self) -> Tensor:
        """``w (P, K)``: the weight of each latent relation on each candidate pair."""
        if self.discovery is None:
            share = self.settings.num_latent or 1
            return torch.full((self.pairs.size(1), self.settings.num_latent), 1.0 / share, device=self.pairs.device)
        return self.discovery.pattern_posterior(self._pattern())[:, int(self.discovery.none_state) :]

    def _pattern(self) -> Pattern:
        if self.pattern.row.device != self.pairs.device:
            self.pattern = self.pattern.to(self.pairs.device)
        return self.pattern

    def enriched(self) -> EnrichedGraph:
        """The graph with latent edges weighed by the posterior as it stands now; on the CPU, as the graph is."""
        discovery, device = self.discovery, self.pairs.device
        if discovery is None:
            raise ConfigError("This model has no discovered relations; set num_latent above 0 and latent='discovered'.")
        found = enrich(self.graph, self.pairs.cpu(), lambda i, j: discovery.posterior(i.to(device), j.to(device)).cpu())
        return replace(found, latent=self.latent_relations)

    def item_vectors(self) -> Tensor:
        return self._vectors(self.mixture(), self.items())

    def _vectors(self, mixture: Tensor, x: Tensor) -> Tensor:
        if not self.convolutions:
            return x
        nodes = torch.cat([x, self.attribute_vectors])
        if self.lasting is not None:
            mixture = mixture[self.lasting]
        adjacency = self._adjacency(x.device)
        for number, convolution in enumerate(self.convolutions, start=1):
            out = convolution(nodes, adjacency, mixture=mixture, relations=self.relations)
            out = F.dropout(out, self.settings.dropout, self.training)
            nodes = nodes + (out if number == len(self.convolutions) else torch.relu(out))
        return nodes[: len(x)]

    def _adjacency(self, device: torch.device) -> RelationalAdjacency:
        if self.adjacency.weight.device != device:
            self.adjacency = self.adjacency.to(device)
        return self.adjacency

    def _history_pairs(self, batch: Batch, columns: Tensor) -> Pairs:
        length = self.settings.evidence_length
        return history_pairs(batch.history, batch.history_time, self.moments(batch), columns, length)

    def _evidence(self, columns: Tensor, batch: Batch, mixture: Tensor) -> list[Added]:
        """What the edges from history to candidate add to the scores of ``(P, 2)`` query positions."""
        if not self.settings.evidence:
            return []
        pairs = self._history_pairs(batch, columns)
        kernel = self.kernel(pairs.gap)
        parts = [self.typed_evidence(pairs, kernel)]
        if self.latent_evidence is not None:
            latent = kernel[:, self.num_predefined :]
            parts.append(self.latent_evidence(pairs, latent, mixture))
            if self.held_out is not None and batch.target is not None:
                parts.append(self.held_out(pairs, batch.user[columns[pairs.position, 0]], latent, mixture))
        return parts

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        mixture, vectors = self._kept()
        query = self.encode(batch, vectors)[:, -1]
        scores = self.base_scores(query, self.moments(batch)[:, -1], vectors, self.bias)
        return pick(add_evidence(scores, self._evidence(last_columns(batch), batch, mixture)), candidates)

    def explain(self, batch: Batch, candidates: Tensor) -> Explanation | None:
        """One part for each event, edge and relation; a latent relation's is ``κ_k · w_k``.

        All parts of a candidate, its dot product, its bias and (where it is read) its recent popularity add up to its
        score.
        """
        if not self.settings.evidence:
            return None
        mixture, _ = self._kept()
        pairs = self._history_pairs(batch, last_columns(batch))
        kernel = self.kernel(pairs.gap)
        parts = [self.typed_evidence.explain(pairs, kernel, candidates)]
        if self.latent_evidence is not None:
            latent = kernel[:, self.num_predefined :]
            owner, column, relation, value = self.latent_evidence.explain(pairs, latent, mixture, candidates)
            parts.append((owner, column, relation + self.num_predefined, value))
        labels = tuple(relation.label for relation in (*self.graph.relations, *self.latent_relations))
        return explanation(pairs, parts, labels)

    def _kept(self) -> tuple[Tensor, Tensor]:
        if self.training or torch.is_grad_enabled():
            mixture = self.mixture()
            return mixture, self._vectors(mixture, self.items())
        if "mixture" not in self._cache:
            self._cache["mixture"] = self.mixture()
            self._cache["vectors"] = self._vectors(self._cache["mixture"], self.items())
        return self._cache["mixture"], self._cache["vectors"]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        mixture, raw = self.mixture(), self.items()
        vectors = self._vectors(mixture, raw)
        evidence = partial(self._evidence, batch=batch, mixture=mixture)
        terms = {"recommendation": self.rank_loss(batch, vectors, evidence)}
        total = terms["recommendation"]
        if self.discovery is not None and self._joint and batch.target is not None:
            found = self._discovery_loss(self.discovery, batch, batch.target, raw)
            total = total + self.settings.discovery_weight * found.total
            terms |= {f"discovery/{name}": value for name, value in found.terms().items()}
        if self.settings.knowledge_weight:
            terms["knowledge"] = self._knowledge(raw)
            total = total + self.settings.knowledge_weight * terms["knowledge"]
        return {"total": total} | {name: value.detach() for name, value in terms.items()}

    def _discovery_loss(self, discovery: RelationDVAE, batch: Batch, target: Tensor, raw: Tensor) -> DiscoveryLoss:
        latent = self.relations[self.num_predefined :]
        if self.settings.objective == "published":
            negative = self.unseen(batch.user, batch.history.size(1))
            return discovery.published_loss(batch.history, target[:, -1], negative, raw, latent, skip_first=False)
        i, j = batch_pairs(batch.history, target, distributed.part(self.settings.discovery_pairs))
        found = discovery.loss(i, j, raw * self.log_scale.exp(), latent, warm_up=self.warming_up)
        return found.over_all(len(i), target)

    def start_epoch(self, epoch: int) -> None:
        self.warming_up = epoch < self.settings.warm_up_epochs
        if self.discovery is not None and self.settings.discovery_prior == "texts" and not epoch:
            start_from_texts(self.discovery, neighbouring_pairs(self.inputs.sequences()))
        if self.discovery is not None and self.settings.discovery_training == "first":
            train_first(self.discovery, self.inputs, epoch)

    def _knowledge(self, raw: Tensor) -> Tensor:
        """``−log p(tail | head, relation)`` of a sample of predefined edges: DistMult on raw vectors."""
        nodes = torch.cat([raw, self.attribute_vectors])
        number = self.settings.knowledge_edges
        edge = torch.randint(self.graph.num_edges, (distributed.part(number),), device=raw.device)
        head, tail = self.graph.edge_index.to(raw.device)[:, edge]
        query = nodes[head] * self.relations[self.graph.edge_type.to(raw.device)[edge]]
        drawn = torch.randint(1, len(nodes), (number,), device=raw.device)
        negatives = (query @ nodes[drawn].T).masked_fill(drawn == tail[:, None], -torch.inf)
        log_q = torch.zeros((), device=raw.device)
        return sampled_cross_entropy((query * nodes[tail]).sum(1), negatives, log_q, log_q)

    def relation_usage(self) -> Usage | None:
        if self.discovery is None:
            return None
        with torch.no_grad():
            return usage(self.discovery.pattern_posterior(self._pattern()))
