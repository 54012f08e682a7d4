"""Item fields → text → language vectors ``(N, T)``."""

from lrdgraph.language.cache import encode_items
from lrdgraph.language.controls import shuffled
from lrdgraph.language.encoder import TextEncoder
from lrdgraph.language.settings import TextSettings
from lrdgraph.language.text import item_texts
from lrdgraph.language.vectors import item_vectors, load_vectors

__all__ = ["TextEncoder", "TextSettings", "encode_items", "item_texts", "item_vectors", "load_vectors", "shuffled"]
