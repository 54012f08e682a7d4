"""PyKEEN's DistMult and ComplEx, trained on the visible graph: what a knowledge graph knows without texts or events."""

from __future__ import annotations

import gc
import importlib.util
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lrdgraph.discovery.decoders import ComplEx, DistMult, DotDecoder
from lrdgraph.errors import ConfigError, MissingExtraError, nearest
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.quality.features import Family, PairFeatures

DECODERS: dict[str, type[DotDecoder]] = {"DistMult": DistMult, "ComplEx": ComplEx}


@dataclass(frozen=True)
class EmbeddingSettings:
    """How a knowledge-graph embedding is trained: cross-entropy over all entities as tails of each (head, relation).

    Inverse relations stand in the graph beside the others, so that heads are learned too (Lacroix et al., 2018,
    arXiv 1806.07297; the training that Ruffinelli et al., ICLR 2020, find to be among the best).

    Attributes:
        channels: real numbers of an entity's vector; ComplEx has half as many complex ones.
        epochs, batch_size, learning_rate: of Adam.
        label_smoothing: of the cross-entropy.
    """

    channels: int = 64
    epochs: int = 50
    batch_size: int = 512
    learning_rate: float = 0.01
    label_smoothing: float = 0.1


@dataclass(frozen=True, eq=False)
class GraphEmbedding:
    """Entity and relation vectors of a trained embedding.

    Attributes:
        decoder: its interaction function.
        entities: ``(N + A + 1, D)``, row 0 padding.
        relations: ``(R, D)``, in the order of the graph's vocabulary.
        names: of the relations.
    """

    decoder: DotDecoder
    entities: Tensor
    relations: Tensor
    names: tuple[str, ...]

    def __call__(self, i: Tensor, j: Tensor) -> Tensor:
        """Features ``(*, 2 R)``: the scores of all visible relations from i to j, and from j to i."""
        return torch.cat([self._scores(i, j), self._scores(j, i)], dim=-1)

    def products(self, i: Tensor, j: Tensor) -> Tensor:
        """Features ``(*, D)``: the product of the two entity vectors, coordinate by coordinate."""
        return self.entities[i] * self.entities[j]

    def own_score(self, relation: str, side: Literal["tail", "head"]) -> PairFeatures:
        """What the model itself says of (i, relation, j), ``(*)``, without a head.

        To rank heads the inverse is asked where the graph holds one, as the model was trained; else the relation.
        """
        inverse = f"{relation}^-1"
        if side == "head" and inverse in self.names:
            position = self.names.index(inverse)
            return lambda i, j: self._scores(j, i, slice(position, position + 1))[..., 0]
        position = self.names.index(relation)
        return lambda i, j: self._scores(i, j, slice(position, position + 1))[..., 0]

    def _scores(self, i: Tensor, j: Tensor, rows: slice = slice(None)) -> Tensor:
        query = self.decoder.tail_query(self.entities[i][..., None, :], self.relations[rows])
        return torch.einsum("...kd,...d->...k", query, self.entities[j])


def train_embedding(
    graph: ItemGraph, model: str = "DistMult", seed: int = 0, settings: EmbeddingSettings | None = None
) -> GraphEmbedding:
    """Train PyKEEN's DistMult (arXiv 1412.6575) or ComplEx (arXiv 1606.06357) on every edge of a graph.

    Raises:
        ConfigError: another model.
        MissingExtraError: PyKEEN is not installed.
    """
    if model not in DECODERS:
        raise ConfigError(f"Unknown embedding '{model}'{nearest(model, DECODERS)}; known are {', '.join(DECODERS)}.")
    if importlib.util.find_spec("pykeen") is None:
        raise MissingExtraError("Graph embeddings need PyKEEN; install it with 'pip install lrdgraph[pykeen]'.")
    from pykeen.losses import CrossEntropyLoss
    from pykeen.models import ERModel
    from pykeen.training import LCWATrainingLoop
    from pykeen.triples import CoreTriplesFactory

    chosen = settings or EmbeddingSettings()
    triples = torch.stack([graph.edge_index[0], graph.edge_type, graph.edge_index[1]], dim=1)
    names = graph.relations.names
    factory = CoreTriplesFactory(triples, num_entities=graph.num_rows, num_relations=len(names))
    width, complex_ = chosen.channels, model == "ComplEx"
    dtype = torch.cfloat if complex_ else torch.float
    shape: dict[str, Any] = {"embedding_dim": width // 2 if complex_ else width, "dtype": dtype}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trained: Any = ERModel(
            triples_factory=factory,
            interaction=_interaction(model),
            entity_representations_kwargs=shape | {"initializer": "xavier_normal_"},
            relation_representations_kwargs=shape | {"initializer": "xavier_normal_"},
            loss=CrossEntropyLoss(),
            random_seed=seed,
        )
        loop = LCWATrainingLoop(
            model=trained,
            triples_factory=factory,
            optimizer=torch.optim.Adam(trained.parameters(), lr=chosen.learning_rate),
        )
        # PyKEEN collects garbage after every epoch, which need not walk all that stands before the first
        gc.freeze()
        try:
            loop.train(
                factory,
                num_epochs=chosen.epochs,
                batch_size=chosen.batch_size,
                label_smoothing=chosen.label_smoothing,
                use_tqdm=False,
            )
        finally:
            gc.unfreeze()
    with torch.no_grad():
        parts = trained.entity_representations[0], trained.relation_representations[0]
        tables = [part(indices=None).detach() for part in parts]
    entities, relations = (torch.cat([t.real, t.imag], dim=1) if complex_ else t for t in tables)
    return GraphEmbedding(DECODERS[model](), entities.clone(), relations.clone(), names)


def _interaction(model: str) -> Any:
    """PyKEEN's interaction; that of DistMult, which stays the same function, as one matrix product."""
    from pykeen.nn.modules import ComplExInteraction, DistMultInteraction

    class Product(DistMultInteraction):
        def forward(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
            return torch.einsum("...d,...d->...", h * r, t)

    return ComplExInteraction() if model == "ComplEx" else Product()


def embedding_family(model: str = "DistMult", settings: EmbeddingSettings | None = None) -> Family:
    """``distmult`` (scores of all visible relations, and its own of a visible one) and ``distmult-product``."""

    def family(inputs: ModelInputs, seed: int) -> dict[str, PairFeatures]:
        trained = train_embedding(inputs.need_graph(model), model, seed, settings)
        return {model.lower(): trained, f"{model.lower()}-product": trained.products}

    return family
