"""External ids as parts of IRIs and back (RFC 3986, section 2)."""

from __future__ import annotations

import re
import string
from urllib.parse import unquote

import polars as pl

from lrdgraph.errors import ConfigError

TERMS = "urn:lrdgraph:"
"""Namespace of lrdgraph's own classes and properties, and the default base of what is exported."""

ITEM, ATTRIBUTE, RELATION, STATEMENT = "item/", "attribute/", "relation/", "statement/"

_BASE = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>"{}|^`\\]*""")
_UNRESERVED = {f"%{ord(mark):02X}": mark for mark in string.ascii_letters + string.digits + "-._~"}


def checked_base(base: str) -> str:
    """The base itself.

    Raises:
        ConfigError: it is no absolute IRI, or holds a character that an IRI cannot.
    """
    if not _BASE.fullmatch(base):
        raise ConfigError(f"The base '{base}' is no absolute IRI; give one such as https://example.org/kg/.")
    return base


def encode(ids: pl.Series) -> pl.Series:
    """Percent-encode all but the letters, digits and ``-._~`` of ASCII; any text becomes a valid part of an IRI."""
    awkward = ids.str.contains("[^A-Za-z0-9._~-]").arg_true()
    escaped = ids.gather(awkward).str.encode("hex").str.to_uppercase().str.replace_all("(..)", "%$1")
    return ids.clone().scatter(awkward, escaped.str.replace_many(_UNRESERVED)) if len(awkward) else ids


def decode(parts: pl.Series) -> pl.Series:
    """Undo :func:`encode`; a part whose bytes are not UTF-8 stays as it is."""
    escaped = parts.filter(parts.str.contains("%", literal=True)).unique()
    plain = escaped.map_elements(_decoded, return_dtype=pl.String) if len(escaped) else escaped
    return parts.replace(escaped, plain)


def _decoded(part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        return part
