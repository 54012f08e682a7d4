"""Tests with the real DGL, OGB, PyKEEN and RDF stores: `make test-integrations` installs them and runs these."""

from __future__ import annotations

import importlib.util
import os

NEEDED = ("dgl", "ogb", "pykeen", "pyoxigraph", "rdflib")

# a plain `pytest` leaves them out where a library is missing; with the variable set a missing one is an error
if "LRDGRAPH_INTEGRATIONS" not in os.environ and not all(map(importlib.util.find_spec, NEEDED)):
    collect_ignore_glob = ["*"]
os.environ.setdefault("DGLBACKEND", "pytorch")
