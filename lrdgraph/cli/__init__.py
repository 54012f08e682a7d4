"""The command line ``lrdgraph``; every command imports what it needs when it runs, so that help is shown at once."""

import os

# threads that spin while they wait starve each other on a shared machine; torch reads this when it is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from lrdgraph.cli.app import app, main

__all__ = ["app", "main"]
