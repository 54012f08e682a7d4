"""Layers to import into any model: they know nothing else of lrdgraph."""
