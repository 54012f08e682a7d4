"""Discovery of latent relations: pairs, encoder q(r | i, j), decoders p(j | i, r), the bound, diagnostics."""

from lrdgraph.discovery.diagnostics import Usage, usage, warnings
from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.fit import discover
from lrdgraph.discovery.pairs import batch_pairs, history_pairs

__all__ = ["RelationDVAE", "Usage", "batch_pairs", "discover", "history_pairs", "usage", "warnings"]
