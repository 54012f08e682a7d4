"""Names for discovered relations, proposed by a language model or by keywords, and kept in a file that people edit.

>>> from lrdgraph.naming import propose_names
>>> propose_names(model, titles)  # doctest: +SKIP
"""

from lrdgraph.naming.file import named, read_names, write_names
from lrdgraph.naming.propose import Proposal, propose_names
from lrdgraph.naming.settings import NamingSettings

__all__ = ["NamingSettings", "Proposal", "named", "propose_names", "read_names", "write_names"]
