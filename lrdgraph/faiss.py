"""The optional package that finds nearest vectors in less than quadratic time."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lrdgraph.errors import MissingExtraError


def need_faiss() -> Any:
    """The module ``faiss``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module("faiss")
    except ImportError:
        raise MissingExtraError(
            "An index of vectors needs faiss; install it with 'pip install lrdgraph[index]'."
        ) from None
