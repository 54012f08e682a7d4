"""The small shop of the command line's tests, and the command line itself."""

from __future__ import annotations

from tests.cli.conftest import cache, discovered, lrdgraph, shop

__all__ = ["cache", "discovered", "lrdgraph", "shop"]
