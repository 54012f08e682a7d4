"""``python -m lrdgraph.cli``, the same as ``lrdgraph``."""

import sys

from lrdgraph.cli.app import main

sys.exit(main())
