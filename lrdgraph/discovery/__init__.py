"""Discovery of latent relations: pairs, encoder q(r | i, j), decoders p(j | i, r), the bound, diagnostics."""

from lrdgraph.discovery.diagnostics import Usage, usage, warnings
from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.fit import discover
from lrdgraph.discovery.pairs import batch_pairs, history_pairs
from lrdgraph.discovery.text_prior import start_from_texts

__all__ = ["RelationDVAE", "Usage", "batch_pairs", "discover", "history_pairs", "start_from_texts", "usage", "warnings"]
