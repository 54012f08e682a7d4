"""Settings of the flagship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from lrdgraph.models.sequential import SequentialSettings


@dataclass(frozen=True)
class FlagshipSettings(SequentialSettings):
    """Settings of the flagship; see :class:`SequentialSettings` for the rest.

    Attributes:
        sequence: what reads a history: a causal transformer, or a GRU, which is told no positions.
        graph_layers: relational convolutions; 0 for none.
        fanout: 0 weighs and convolves the whole graph at each step. For large catalogues, with the loss
            ``"shared-cross-entropy"``: at most so many edges into each node that a step touches, drawn anew each time,
            or −1 for all of them. Scores are computed with all edges.
        evidence: whether scores read the edges from history to candidate.
        evidence_length: how many of the most recent events they leave from.
        evidence_gate: whether what a relation counts for depends on the query, which then multiplies its weight by a
            number between 0 and 2. RCF and KDA weigh relations by the user for the same reason.
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

    sequence: Literal["transformer", "gru"] = "transformer"
    graph_layers: Annotated[int, Ge(0)] = 1
    fanout: Annotated[int, Ge(-1)] = 0
    evidence: bool = True
    evidence_length: Annotated[int, Gt(0)] = 20
    evidence_gate: bool = False
    num_latent: Annotated[int, Ge(0)] = 5
    latent: Literal["discovered", "fixed"] = "discovered"
    text_neighbours: Annotated[int, Ge(0)] = 30
    two_hop_neighbours: Annotated[int, Ge(0)] = 0
    cooccurrence_neighbours: Annotated[int, Ge(0)] = 0
    encoder: str = "interaction"
    decoder: str = "distmult"
    discovery_channels: Annotated[int, Gt(0)] = 32
    none_state: bool = True
    beta: Annotated[float, Ge(0)] = 1.0
    discovery_prior: Literal["texts", "uniform"] = "texts"
    decoder_scale: float = 3.0
    discovery_text: Literal["own", "shuffled"] = "own"
    objective: Literal["elbo", "published"] = "elbo"
    estimator: Literal["exact", "gumbel"] = "exact"
    warm_up_epochs: Annotated[int, Ge(0)] = 0
    discovery_training: Literal["joint", "first"] = "joint"
    discovery_weight: Annotated[float, Ge(0)] = 0.5
    discovery_pairs: Annotated[int, Gt(0)] = 512
    knowledge_weight: Annotated[float, Ge(0)] = 0.0
    knowledge_edges: Annotated[int, Gt(0)] = 512
