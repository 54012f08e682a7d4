"""Errors that a reader of the message can act on.

Every message is one sentence that says where (file, line or id), what was expected, and what to do.
The command line prints the sentence alone and exits with status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LrdgraphError(Exception):
    """Base of all errors raised on purpose; its text is one sentence for the user."""


class DataError(LrdgraphError):
    """A file or an array does not hold what was expected."""


class UnknownIdError(LrdgraphError):
    """An external id (user, item, relation) that the corpus does not hold."""


class ConfigError(LrdgraphError):
    """A setting that does not exist or whose value has the wrong type or range."""


class MissingExtraError(LrdgraphError):
    """An optional package is needed and not installed."""


class ProcessError(LrdgraphError):
    """Another process of the same run is gone."""


def same(one: object, other: object) -> bool:
    """Whether two functions or classes are one named definition, perhaps run twice."""
    names = [[getattr(each, name, each) for name in ("__module__", "__qualname__")] for each in (one, other)]
    return names[0] == names[1] and "<lambda>" not in str(names[0][1])


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint `` (did you mean 'x'?)`` for the closest known name, or the empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
