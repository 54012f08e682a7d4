"""The flagship: discovered relations beside predefined ones, one graph, one sequential recommender, trained jointly."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph import distributed
from lrdgraph.batch import Batch
from lrdgraph.discovery.decoders import initial_relations
from lrdgraph.discovery.diagnostics import Usage, usage
from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.objectives import DiscoveryLoss
from lrdgraph.discovery.pairs import batch_pairs
from lrdgraph.discovery.pairs import history_pairs as neighbouring_pairs
from lrdgraph.discovery.text_prior import start_from_texts
from lrdgraph.errors import ConfigError
from lrdgraph.graph.enrichment import EnrichedGraph, enrich
from lrdgraph.graph.relations import Relation
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
from lrdgraph.models.flagship_settings import FlagshipSettings
from lrdgraph.models.frozen import train_first
from lrdgraph.models.inputs import ModelInputs, discovery_text
from lrdgraph.models.joint_discovery import check_settings, joint_discovery
from lrdgraph.models.knowledge import draw_knowledge, knowledge_loss, learns_knowledge
from lrdgraph.models.latent_edges import HeldOutEvidence, latent_edges
from lrdgraph.models.negatives import UnseenItems
from lrdgraph.models.registry import register
from lrdgraph.models.sampled_graph import SampledGraph, posterior_of_pairs
from lrdgraph.models.sampled_step import candidate_evidence, sampled_terms, vectors_everywhere
from lrdgraph.models.sequential import SequentialRecommender
from lrdgraph.nn.catalogue_loss import Added
from lrdgraph.nn.recurrent import RecurrentEncoder
from lrdgraph.nn.relational_conv import RelationalAdjacency, RelationalConv
from lrdgraph.nn.sparse_products import Pattern
from lrdgraph.nn.time import DecayKernel


@register("lrdgraph")
class Flagship(SequentialRecommender):
    """``s(u, c) = u · x̃_c + b_c + Σ_h Σ_r κ_r(Δt_h) · A_r[h, c]``, with latent relations among the ``r``.

    ``x̃`` comes out of relational convolutions over the enriched graph, ``u`` out of a causal encoder of the history's
    ``x̃``, and ``A`` holds the same edges, predefined and latent. The posterior that weighs latent edges stays on the
    tape, so the recommender's loss teaches the discovery encoder, also with ``discovery_weight = 0``.
    """

    Settings = FlagshipSettings
    name = "lrdgraph"
    pairs: Tensor
    lasting: Tensor | None

    def __init__(self, inputs: ModelInputs, settings: FlagshipSettings) -> None:
        check_settings(settings)
        super().__init__(inputs, settings)
        if settings.sequence == "gru":
            self.position = None
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
            if not pairs.size(1):
                raise ConfigError(
                    "No two items are candidates for a latent relation; give items texts and set text_neighbours above "
                    "0, or set num_latent to 0."
                )
            if lasting.size(1) < pairs.size(1):
                held_out, kept = HeldOutEvidence(edges, n), edges.lasting.nonzero().squeeze(1)
            if settings.latent == "discovered":
                self.discovery = joint_discovery(settings, text, inputs)
                if self.trains_discovery and settings.objective == "elbo":
                    self.log_scale = nn.Parameter(torch.tensor(settings.decoder_scale).log())
        self.touches = settings.fanout != 0
        if self.touches and settings.loss != "shared-cross-entropy":
            raise ConfigError("A fanout needs negatives that a step shares; set loss to 'shared-cross-entropy'.")
        self.warming_up = False
        self.unseen = UnseenItems(inputs.had[0], inputs.had[1], n) if settings.objective == "published" else None
        self.register_buffer("pairs", pairs, persistent=False)
        self.register_buffer("lasting", kept, persistent=False)
        self.pattern = None if self.touches else Pattern.of(pairs[0], pairs[1], n + 1, n + 1)
        predefined = 1 + torch.randn(self.num_predefined, d) * d**-0.5
        latent = [initial_relations(k, d)] if k else []
        self.relations = nn.Parameter(torch.cat([predefined, *latent]))
        self.attribute_vectors = nn.Parameter(torch.randn(len(graph.attributes), d) * d**-0.5 / 4)
        self.convolutions = nn.ModuleList(
            RelationalConv(d, d, self.num_predefined, k, own_relations=False) for _ in range(settings.graph_layers)
        )
        self.around = None
        if self.touches:
            self.around = SampledGraph(graph, pairs, kept, settings.fanout, settings.graph_layers)
        elif settings.graph_layers:
            self.adjacency = RelationalAdjacency.from_edges(
                graph.edge_index, graph.edge_type, graph.edge_weight, num_nodes=graph.num_rows, latent_index=lasting
            )
        if settings.evidence:
            between = (graph.edge_index <= n).all(0)
            source, target = graph.edge_index[:, between]
            self.kernel = DecayKernel(self.num_predefined + k)
            self.gate = None
            if settings.evidence_gate:
                self.gate = nn.Linear(d, self.num_predefined + k)
                nn.init.zeros_(self.gate.weight)
                nn.init.zeros_(self.gate.bias)
            self.typed_evidence = TypedEvidence(
                torch.stack([source, target]), graph.edge_type[between], graph.edge_weight[between], n
            )
            self.latent_evidence = MixtureEvidence(pairs, n) if k else None
            self.held_out = held_out

    def sequence_encoder(self) -> nn.Module:
        settings = self.settings
        if settings.sequence == "transformer":
            return super().sequence_encoder()
        return RecurrentEncoder(settings.hidden_channels, settings.num_layers, settings.dropout)

    @property
    def trains_discovery(self) -> bool:
        return self.settings.discovery_weight > 0 and self.settings.discovery_training == "joint"

    def mixture(self) -> Tensor:
        """``w (P, K)``: the weight of each latent relation on each candidate pair."""
        if self.discovery is None:
            share = self.settings.num_latent or 1
            return torch.full((self.pairs.size(1), self.settings.num_latent), 1.0 / share, device=self.pairs.device)
        pattern = self._pattern()
        if pattern is None:
            return posterior_of_pairs(self.discovery, self.pairs)
        return self.discovery.pattern_posterior(pattern)[:, int(self.discovery.none_state) :]

    def weights(self, edge: Tensor) -> Tensor:
        """``(n, K)`` rows of :meth:`mixture`, computed for these edges alone."""
        if self.discovery is None:
            share = 1.0 / (self.settings.num_latent or 1)
            return torch.full((len(edge), self.settings.num_latent), share, device=edge.device)
        return self.discovery.ends_posterior(*self.pairs.index_select(1, edge))

    def _pattern(self) -> Pattern | None:
        if self.pattern is not None and self.pattern.row.device != self.pairs.device:
            self.pattern = self.pattern.to(self.pairs.device)
        return self.pattern

    def enriched(self) -> EnrichedGraph:
        """The graph with latent edges weighed by the posterior as it stands now; on the CPU, as the graph is."""
        discovery, device = self.discovery, self.pairs.device
        if discovery is None:
            raise ConfigError("This model has no discovered relations; set num_latent above 0 and latent='discovered'.")
        found = enrich(
            self.graph,
            self.pairs.cpu(),
            lambda i, j: posterior_of_pairs(discovery, torch.stack([i, j]).to(device)).cpu(),
        )
        return replace(found, latent=self.latent_relations)

    def item_vectors(self) -> Tensor:
        return self.vectors_from(self.mixture())

    def vectors_from(self, mixture: Tensor, x: Tensor | None = None) -> Tensor:
        """:meth:`item_vectors` from the weights of all latent edges, and from raw vectors that are there already."""
        if self.around is not None:
            return vectors_everywhere(self, self.around, mixture)
        x = self.items() if x is None else x
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

    def history_pairs(self, batch: Batch, columns: Tensor) -> Pairs:
        length, times, moments = self.settings.evidence_length, batch.history_time, self.moments(batch)
        if self.settings.time == "none":
            times, moments = torch.zeros_like(times), torch.zeros_like(moments)
        return history_pairs(batch.history, times, moments, columns, length)

    def relation_weights(self, pairs: Pairs, query: Tensor) -> Tensor:
        """``(Q, R)`` what an edge of each relation counts for from each event, of queries ``(P, D)``."""
        weights: Tensor = self.kernel(pairs.gap)
        return weights if self.gate is None else weights * (1 + torch.tanh(self.gate(query)))[pairs.position]

    def _evidence(self, columns: Tensor, query: Tensor, batch: Batch, mixture: Tensor) -> list[Added]:
        """What the edges from history to candidate add to the scores of ``(P, 2)`` positions, of queries ``(P, D)``."""
        if not self.settings.evidence:
            return []
        pairs = self.history_pairs(batch, columns)
        kernel = self.relation_weights(pairs, query)
        parts = [self.typed_evidence(pairs, kernel)]
        if self.latent_evidence is not None:
            latent = kernel[:, self.num_predefined :]
            parts.append(self.latent_evidence(pairs, latent, mixture))
            if self.held_out is not None and batch.target is not None:
                parts.append(self.held_out(pairs, batch.user[columns[pairs.position, 0]], latent, mixture))
        return parts

    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        mixture, vectors = self._kept()
        query = self.scoring_query(batch)
        scores = self.base_scores(query, self.moments(batch)[:, -1], vectors, self.bias, candidates)
        if candidates is None:
            return add_evidence(scores, self._evidence(last_columns(batch), query, batch, mixture))
        return (
            scores + candidate_evidence(self, batch, query, candidates, mixture) if self.settings.evidence else scores
        )

    def explain(self, batch: Batch, candidates: Tensor) -> Explanation | None:
        """One part for each event, edge and relation; a latent relation's is ``κ_k · w_k``.

        All parts of a candidate, its dot product, its bias and (where it is read) its recent popularity add up to its
        score.
        """
        if not self.settings.evidence:
            return None
        mixture, _ = self._kept()
        pairs = self.history_pairs(batch, last_columns(batch))
        kernel = self.relation_weights(pairs, self.scoring_query(batch))
        parts = [self.typed_evidence.explain(pairs, kernel, candidates)]
        if self.latent_evidence is not None:
            latent = kernel[:, self.num_predefined :]
            owner, column, relation, value = self.latent_evidence.explain(pairs, latent, mixture, candidates)
            parts.append((owner, column, relation + self.num_predefined, value))
        labels = tuple(relation.label for relation in (*self.graph.relations, *self.latent_relations))
        return explanation(pairs, parts, labels)

    def _kept(self) -> tuple[Tensor, Tensor]:
        mixture = self.kept("mixture", self.mixture)
        return mixture, self.kept("vectors", lambda: self.vectors_from(mixture))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        if self.shared is not None and batch.target is not None:
            terms = sampled_terms(self, self.shared, batch, batch.target)
        else:
            terms = self._whole_terms(batch)
        total = terms["recommendation"]
        if "discovery/total" in terms:
            total = total + self.settings.discovery_weight * terms["discovery/total"]
        if "knowledge" in terms:
            total = total + self.settings.knowledge_weight * terms["knowledge"]
        return {"total": total} | {name: value.detach() for name, value in terms.items()}

    def _whole_terms(self, batch: Batch) -> dict[str, Tensor]:
        mixture, raw = self.mixture(), self.items()
        vectors = self.vectors_from(mixture, raw)
        evidence = partial(self._evidence, batch=batch, mixture=mixture)
        terms = {"recommendation": self.rank_loss(batch, vectors, evidence)}
        if self.discovery is not None and self.trains_discovery and batch.target is not None:
            found = self._discovery_loss(self.discovery, batch, batch.target, raw)
            terms |= {f"discovery/{field.name}": getattr(found, field.name) for field in fields(found)}
        if learns_knowledge(self):
            edges = draw_knowledge(self)
            terms["knowledge"] = knowledge_loss(self, edges, torch.cat([raw, self.attribute_vectors]))
        return terms

    def _discovery_loss(self, discovery: RelationDVAE, batch: Batch, target: Tensor, raw: Tensor) -> DiscoveryLoss:
        latent = self.relations[self.num_predefined :]
        if self.settings.objective == "published":
            assert self.unseen is not None
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

    def relation_usage(self) -> Usage | None:
        if self.discovery is None:
            return None
        with torch.no_grad():
            pattern = self._pattern()
            if pattern is not None:
                return usage(self.discovery.pattern_posterior(pattern))
            some = torch.linspace(0, self.pairs.size(1) - 1, min(self.pairs.size(1), 100_000)).long()
            return usage(self.discovery.state_posterior(*self.pairs[:, some.to(self.pairs.device)]))
