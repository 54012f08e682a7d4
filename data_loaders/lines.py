"""Files too large to hold: blocks of whole lines, gzipped or not, and lines that are JSON or Python literals."""

from __future__ import annotations

import ast
import codecs
import gzip
import json
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lrdgraph.errors import DataError

BLOCK = 1 << 24
LONGEST_LINE = 1 << 26


class Block(NamedTuple):
    """Consecutive whole lines of a file.

    Attributes:
        path: the file.
        first_line: number of the first of them, from 1.
        data: their bytes.
    """

    path: Path
    first_line: int
    data: bytes

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines that are not blank, with their numbers."""
        for number, line in enumerate(self.data.split(b"\n"), start=self.first_line):
            if line.strip():
                yield number, line

    def place(self, row: int) -> str:
        """``FILE, line n`` of row ``row`` (from 0), blank lines being no rows."""
        return f"{self.path}, line {next(number for at, (number, _) in enumerate(self.lines()) if at == row)}"


def blocks(path: Path, size: int = BLOCK) -> Iterator[Block]:
    """Read a file block by block; what is gzipped, whatever its name, is decompressed on the way.

    Args:
        path: the file.
        size: bytes of a block; the line that stands there ends it.

    Raises:
        DataError: the file is missing, is no whole gzip file, or has a line of more than 64 MiB.
    """
    number = 1
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            while data := file.read(size):
                if not data.endswith(b"\n"):
                    rest = file.readline(LONGEST_LINE)
                    if len(rest) == LONGEST_LINE:
                        raise DataError(f"{path} has a line of more than {LONGEST_LINE} bytes; check what the file is.")
                    data += rest
                data = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
                yield Block(path, number, data)
                number += data.count(b"\n")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        reason = str(error).rstrip(".")
        raise DataError(f"{path} breaks off or is damaged after line {number} ({reason}); download it again.") from None


def whole(path: Path) -> bytes:
    """All of a file, decompressed if it is gzipped.

    Raises:
        DataError: as :func:`blocks`.
    """
    return b"".join(block.data for block in blocks(path))


def record(line: bytes, place: str) -> dict[str, Any]:
    """One line as a dictionary: a JSON object, or a Python literal, which is parsed and never evaluated.

    Args:
        line: the line.
        place: where it stands, for messages.

    Raises:
        DataError: it is neither.
    """
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        raise DataError(f"{place} is not UTF-8 text; download the file again or remove the line.") from None
    value: Any = None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\d" and the like in a literal
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                value = None
    if not isinstance(value, dict):
        raise DataError(f"{place} is neither a JSON object nor a Python dictionary; correct or remove the line.")
    return value
