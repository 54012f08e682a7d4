"""Texts without what a web page left in them: entities, tags, scripts. Text is data and nothing else."""

from __future__ import annotations

import html

import polars as pl

_ENTITY = r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);"
_HIDDEN = r"(?is)<(?:script|style)\b[^<>]*>.*?(?:</(?:script|style)\s*>|$)|<!--.*?-->"
# Known tags only: "<Vol. 2>" is text.
_TAG = (
    r"(?i)</?(?:a|abbr|b|big|blockquote|body|br|center|cite|code|dd|div|dl|dt|em|font|form|h[1-6]|head|hr|html|i|iframe"
    r"|img|input|label|li|link|meta|nobr|object|ol|option|p|param|pre|s|script|select|small|span|strike|strong|style|sub"
    r"|sup|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|wbr)\b[^<>]*>"
)
_SCRIPT = r"\bvar\s+\w+\s*=|\bgetTime\(\)|\baPageStart\b|\bfunction\s*\([^()]*\)\s*\{"


def clean(column: pl.Series) -> pl.Series:
    """Text without HTML entities, tags, scripts, control characters and runs of white space; null becomes empty.

    Entities are resolved once and before tags, so that escaped tags go as well.
    """
    text = column.fill_null("")
    entities = text.str.extract_all(_ENTITY).explode().drop_nulls().unique().sort().to_list()
    if entities:
        text = text.str.replace_many(entities, [html.unescape(entity) for entity in entities])
    text = text.str.replace_all(_HIDDEN, " ").str.replace_all(_TAG, " ")
    return text.str.replace_all(r"[\s\p{Cc}]+", " ").str.strip_chars()


def is_script(column: pl.Series) -> pl.Series:
    """Whether a text is JavaScript of the page, as in the 2018 titles that begin with ``var aPageStart``; ``(n,)``."""
    return column.str.contains(_SCRIPT).fill_null(False)


def clean_lists(column: pl.Series) -> pl.Series:
    """Each list's texts cleaned, empty ones left out."""
    pieces = pl.DataFrame({"row": pl.arange(len(column), eager=True), "text": column})
    pieces = pieces.filter(pl.col("text").list.len() > 0).explode("text")
    pieces = pieces.with_columns(clean(pieces["text"]).alias("text")).filter(pl.col("text") != "")
    lists = pieces.group_by("row", maintain_order=True).agg("text")
    rows = pl.DataFrame({"row": pl.arange(len(column), eager=True)})
    return rows.join(lists, on="row", how="left", maintain_order="left")["text"].fill_null([])
