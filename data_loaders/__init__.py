"""Raw files → :class:`lrdgraph.corpus.Corpus`; the only place that knows a file format.

>>> from data_loaders import load
>>> corpus = load("movielens-100k")  # doctest: +SKIP
"""

from data_loaders import amazon, movielens, recbole, rechorus, saved, tables
from data_loaders.attributes import with_attributes
from data_loaders.knowledge_graph import read_links, with_triples
from data_loaders.rechorus import read_feat
from data_loaders.registry import Loader, load, loaders, register
from data_loaders.triples import Linked, read_triples

for _loader in (saved.LOADER, rechorus.LOADER, recbole.LOADER, movielens.LOADER, tables.LOADER, *amazon.LOADERS):
    register(_loader)

__all__ = [
    "Linked",
    "Loader",
    "load",
    "loaders",
    "read_feat",
    "read_links",
    "read_triples",
    "register",
    "with_attributes",
    "with_triples",
]
