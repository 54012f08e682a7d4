"""Item ids out of a file of text, one in a line."""

from __future__ import annotations

from pathlib import Path

from lrdgraph.errors import DataError


def ids_in(path: Path) -> list[str]:
    """The ids in a file; blank lines, and space around an id, do not count.

    Raises:
        DataError: there is no such file, or it is not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataError(f"{path} cannot be read ({reason}); name a file of item ids, one in a line.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
