"""Tables from disk as they stand; every complaint names the file and the line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from data_loaders.lines import whole
from lrdgraph.errors import DataError, nearest

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".csv.gz", ".tsv.gz", ".jsonl.gz")
ROWS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class Table:
    """One file's rows.

    Attributes:
        path: the file.
        rows: its columns; all strings for a text table, typed for Parquet and JSON Lines.
        first_line: line of row 0 in a text file that holds one row a line, None elsewhere.
        first_row: position in the file of row 0, where the table is a part of it.
    """

    path: Path
    rows: pl.DataFrame
    first_line: int | None = None
    first_row: int = 0

    def place(self, row: int) -> str:
        """``FILE, line n`` of a row, or ``FILE, row n`` where lines and rows do not correspond."""
        if self.first_line is not None:
            lines = whole(self.path).rstrip().count(b"\n") + 1
            if lines == self.first_line - 1 + self.rows.height:
                return f"{self.path}, line {row + self.first_line}"
        return f"{self.path}, row {self.first_row + row + 1}"

    def refuse(self, wrong: pl.Series, column: str, expected: str) -> None:
        """Raise for the first row that is ``wrong``, quoting its cell; do nothing where none is.

        Raises:
            DataError: a row is wrong.
        """
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            cell = self.rows[column][row]
            shown = "nothing" if cell is None or cell == "" else f"'{str(cell)[:60]}'"
            shown = shown.replace("\n", " ")
            raise DataError(
                f"{self.place(row)}: column '{column}' holds {shown}, expected {expected}; correct the row."
            )

    def find(self, known: Sequence[str], asked: str | None = None) -> str | None:
        """The column called ``asked``, or the one whose name is a spelling of one of ``known``; None where none is.

        Spellings differ in case and in ``_``: ``userId`` is ``user_id``.

        Raises:
            DataError: ``asked`` is not there, or several columns fit ``known``.
        """
        columns = self.rows.columns
        if asked is not None:
            if asked not in columns:
                raise DataError(f"{self.path} has no column '{asked}'{nearest(asked, columns)}; {self._columns()}.")
            return asked
        fits = [c for c in columns if c.lower().replace("_", "") in known]
        if len(fits) > 1:
            raise DataError(
                f"{self.path} has several columns for {known[0]} ({', '.join(fits)}); name one as an option."
            )
        return fits[0] if fits else None

    def need(self, known: Sequence[str], asked: str | None = None) -> str:
        """Like :meth:`find`, where absence is an error.

        Raises:
            DataError: no column fits, or several do.
        """
        found = self.find(known, asked)
        if found is None:
            hint = nearest(known[0], self.rows.columns)
            only = self.rows.columns[0] if self.rows.width == 1 else ""
            if other := next((mark for mark in ";|\t," if mark in only), None):
                raise DataError(
                    f"{self.path} has no column '{known[0]}'; its only column is {only!r}: save it with another "
                    f"separator than {other!r}, a comma or a tab."
                )
            raise DataError(f"{self.path} has no column '{known[0]}'{hint}; {self._columns()}: rename one.")
        return found

    def _columns(self) -> str:
        names = [repr(c) for c in self.rows.columns]
        return f"its columns are {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"


def suffix_of(path: Path) -> str:
    """The end of a name that says how the file is read: ``.csv`` of ``log.csv``, ``.csv.gz`` of ``log.csv.gz``."""
    return f"{Path(path.stem).suffix}.gz" if path.suffix == ".gz" else path.suffix


def read_table(
    path: Path,
    *,
    separator: str | None = None,
    header: Sequence[str] | None = None,
    encoding: str = "utf8",
    comments: bool = False,
    may_be_empty: bool = False,
) -> Table:
    """Read one table; text cells stay strings, empty ones and those that a short line lacks are null.

    Commas may stand inside double quotes; in files separated otherwise a quote is a character like any other.

    Args:
        path: a ``.parquet`` or ``.jsonl`` file, or a text table under any other name; gzipped where it ends in ``.gz``.
        separator: of a text table; by default a comma for ``.csv`` and a tab otherwise.
        header: column names of a text file that has no header line.
        encoding: of a text table.
        comments: skip leading lines that start with ``#``.
        may_be_empty: a header without rows is allowed.

    Raises:
        DataError: the file is missing, empty, truncated, not text, or has a line with too many cells.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist or is not a file; check the path.")
    if not path.stat().st_size:
        raise DataError(f"{path} is empty, expected a header and rows; write it anew.")
    kind = suffix_of(path).removesuffix(".gz")
    if path.suffix == ".parquet":
        table = _parquet(path)
    elif kind == ".jsonl":
        table = _json_lines(path)
    else:
        separator = separator or ("," if kind == ".csv" else "\t")
        table = _text(path, separator, header, encoding, _comment_lines(path) if comments else 0)
    if not table.rows.height and not may_be_empty:
        raise DataError(f"{path} has a header and no rows; add rows or remove the file.")
    return table


def read_blocks(path: Path, size: int = ROWS_AT_ONCE) -> Iterator[Table]:
    """Read a table in parts: a Parquet file ``size`` rows at once, so that it may be larger than memory.

    Any other file is one part, as :func:`read_table` gives it.

    Raises:
        DataError: as :func:`read_table`.
    """
    if path.suffix != ".parquet" or not path.is_file() or not path.stat().st_size:
        yield read_table(path)
        return
    start, part = 0, _parquet(path, 0, size)
    if not part.rows.height:
        raise DataError(f"{path} has a header and no rows; add rows or remove the file.")
    while part.rows.height:
        yield part
        start += part.rows.height
        part = _parquet(path, start, size)


def _parquet(path: Path, start: int = 0, size: int | None = None) -> Table:
    try:
        return Table(path, pl.scan_parquet(path, glob=False).slice(start, size).collect(), first_row=start)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file ({_first(error)}); write it anew.") from None


def _json_lines(path: Path) -> Table:
    try:
        return Table(path, pl.read_ndjson(whole(path), infer_schema_length=None), first_line=1)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = _first(error)
    # only a file that failed is walked line by line
    with _opened(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                is_object = isinstance(json.loads(line), dict) if line.strip() else True
            except ValueError:
                is_object = False
            if not is_object:
                raise DataError(f"{path}, line {number} is not a JSON object; correct or remove the line.")
    raise DataError(f"{path} is not JSON Lines of one shape ({reason}); give every column one type.")


def _text(path: Path, separator: str, header: Sequence[str] | None, encoding: str, skip: int) -> Table:
    quote = '"' if separator == "," else None
    with _opened(path) as lines:
        first = lines.readline(1 << 20)  # polars reads any bytes as a header
    if b"\x00" in first:
        raise DataError(f"{path}, line 1 holds zero bytes, expected a text table; check what the file is.")
    try:
        first.decode("utf-8" if encoding == "utf8" else encoding)
        rows = pl.read_csv(
            _source(path),
            glob=False,
            separator=separator,
            quote_char=quote,
            has_header=header is None,
            schema=None if header is None else dict.fromkeys(header, pl.String),
            infer_schema=False,
            encoding=encoding,
            skip_lines=skip,
        )
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise _bad_text(path, separator, quote, encoding, skip, header, _first(error)) from None
    for name in rows.columns:
        base, twice, _ = name.partition("_duplicated_")
        if twice and base in rows.columns:
            raise DataError(f"{path}, line {skip + 1} names column '{base}' twice; rename one.")
    if rows.width > 1 and rows.height:  # blank lines at the end are no rows
        filled = rows.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
        rows = rows.head(rows.height - int(filled.reverse().arg_max() or 0) if filled.any() else 0)
    return Table(path, rows, first_line=skip + (2 if header is None else 1))


def _bad_text(
    path: Path, separator: str, quote: str | None, encoding: str, skip: int, header: Sequence[str] | None, reason: str
) -> DataError:
    raw = whole(path)
    try:
        text = raw.decode("utf-8" if encoding == "utf8" else encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return DataError(f"{path}, line {line} is not UTF-8 text; save the file as UTF-8 or check what it is.")
    cells = csv.reader(
        text.splitlines(keepends=True)[skip:],
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    width = len(header) if header is not None else None
    # only a file that failed is walked line by line
    for row in cells:
        width = len(row) if width is None else width
        if len(row) > width:
            return DataError(
                f"{path}, line {skip + cells.line_num} has {len(row)} cells, expected {width}; correct it."
            )
    return DataError(f"{path} is not a table of text ({reason}); look for a quote that is never closed.")


def _comment_lines(path: Path) -> int:
    count = 0
    with _opened(path) as lines:
        for line in lines:
            if not line.startswith(b"#"):
                break
            count += 1
    return count


def _source(path: Path) -> Path | bytes:
    return whole(path) if path.suffix == ".gz" else path


def _opened(path: Path) -> BinaryIO:
    return io.BytesIO(whole(path)) if path.suffix == ".gz" else path.open("rb")


def _first(error: Exception) -> str:
    return re.split(r"\n|\. ", str(error))[0][:120].rstrip(" .:;")
