"""Item fields → one clean text for each item."""

from __future__ import annotations

import html
from collections.abc import Sequence
from string import Formatter

import polars as pl

from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError, nearest

# What names an item comes first, because a long text is cut at its end.
ORDER = ("title", "name", "text", "brand", "year", "category", "categories", "genres", "features", "description")

_ENTITY = r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);"
# Known tags only: "<= 30 in" and "<Vol. 2>" are text.
_TAG = r"(?i)</?(?:a|b|br|div|em|font|h[1-6]|hr|i|img|li|ol|p|small|span|strong|sub|sup|table|td|th|tr|u|ul)\b[^<>]*>"


def item_texts(
    corpus: Corpus, template: str | None = None, fields: Sequence[str] = (), *, allow_empty: bool = False
) -> pl.Series:
    """One text for each item, row ``i - 1`` for item ``i``.

    HTML entities and tags are resolved, white space is collapsed. Without a template the fields that are not empty are
    joined by ``". "``.

    Args:
        corpus: the corpus whose fields are read.
        template: e.g. ``"{title} ({year})"``; empty fields leave their place empty.
        fields: the fields to join; empty takes all text fields, title first.
        allow_empty: give the empty string to an item whose fields are all empty; its vector is zero.

    Returns:
        ``N`` strings.

    Raises:
        ConfigError: the template is malformed, or a field is unknown.
        DataError: the corpus has no text fields, or an item has no text and ``allow_empty`` is False.
    """
    pieces = _parse(template) if template is not None else None
    names = list(fields) if pieces is None else [name for name, is_field in pieces if is_field]
    for name in names:
        if name not in corpus.fields.columns:
            hint = nearest(name, corpus.fields.columns)
            known = ", ".join(corpus.fields.columns) or "none"
            raise ConfigError(f"Corpus '{corpus.name}' has no item field '{name}'{hint}; its fields are {known}.")
    names = list(dict.fromkeys(names)) or _text_fields(corpus)
    clean = pl.DataFrame([clean_text(corpus.fields[name]).alias(name) for name in names])
    if pieces is None:
        text = pl.concat_str([pl.col(n).replace("", None) for n in names], separator=". ", ignore_nulls=True)
    else:
        text = pl.concat_str([pl.col(piece) if is_field else pl.lit(piece) for piece, is_field in pieces])
    empty = pl.all_horizontal(pl.col(n) == "" for n in names)
    table = clean.select(text.alias("text"), empty.alias("empty"))
    lacking = corpus.items.series.filter(table["empty"])
    if len(lacking) and not allow_empty:
        raise DataError(
            f"{len(lacking)} of {corpus.num_items} items have no text in {', '.join(names)}, "
            f"the first is '{lacking[0]}'; fill the fields, drop the items, or set allow_empty."
        )
    rendered = table.select(pl.when("empty").then(pl.lit("")).otherwise("text").alias("text"))["text"]
    return rendered.str.replace_all(r"\s+", " ").str.strip_chars()


def clean_text(column: pl.Series) -> pl.Series:
    """Text without HTML entities, common tags, control characters and runs of white space; null becomes empty.

    Entities are resolved once, so ``&amp;lt;`` becomes ``&lt;``.
    """
    if isinstance(column.dtype, (pl.List, pl.Array)):
        column = column.cast(pl.List(pl.String)).list.join(" ", ignore_nulls=True)
    text = column.cast(pl.String).fill_null("")
    entities = text.str.extract_all(_ENTITY).explode().drop_nulls().unique().sort().to_list()
    if entities:
        text = text.str.replace_many(entities, [html.unescape(entity) for entity in entities])
    return text.str.replace_all(_TAG, " ").str.replace_all(r"[\s\p{Cc}]+", " ").str.strip_chars()


def _text_fields(corpus: Corpus) -> list[str]:
    text = [n for n, kind in corpus.fields.schema.items() if kind == pl.String or kind == pl.List(pl.String)]
    if not text:
        raise DataError(f"Corpus '{corpus.name}' has no text fields; load an items table, or give vectors of your own.")
    return [n for n in ORDER if n in text] + [n for n in text if n not in ORDER]


def _parse(template: str) -> list[tuple[str, bool]]:
    """Pieces of a template in order: ``(field name, True)`` or ``(literal text, False)``."""
    pieces: list[tuple[str, bool]] = []
    try:
        for literal, name, spec, conversion in Formatter().parse(template):
            if literal:
                pieces.append((literal, False))
            if name is not None:
                if not name or spec or conversion:
                    raise ConfigError(f"Template '{template}' may hold field names in braces only, such as {{title}}.")
                pieces.append((name, True))
    except ValueError as error:
        raise ConfigError(f"Template '{template}' is malformed ({error}); double a brace that is text.") from None
    if not any(is_field for _, is_field in pieces):
        raise ConfigError(f"Template '{template}' names no field; write one in braces, such as {{title}}.")
    return pieces
