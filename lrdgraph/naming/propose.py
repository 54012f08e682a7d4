"""A name, a sentence and a direction for each discovered relation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from lrdgraph.errors import DataError
from lrdgraph.export.registry import discovered
from lrdgraph.export.relations import Example, relation_report
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.relations import Relation
from lrdgraph.language.text import ORDER, clean_text
from lrdgraph.naming.answer import clean, parse_direction, parse_name, parse_sentence
from lrdgraph.naming.chat import Chat, open_chat
from lrdgraph.naming.direction import agreement, symmetric
from lrdgraph.naming.keywords import Keyword, keywords
from lrdgraph.naming.prompt import DIRECTION, NAME, OTHERS, SENTENCE, Pair, turns
from lrdgraph.naming.settings import KEYWORDS, NamingSettings

CLEAR = 0.5
"""A pair is clear whose posterior is at least this share of the largest of its relation."""
LABEL_WORDS = 3
"""Keywords in a label."""


class Proposal(NamedTuple):
    """A relation as it was named, and sentences on where the language model was not followed."""

    relation: Relation
    notes: tuple[str, ...] = ()


def propose_names(
    source: EnrichedGraph | object,
    titles: Sequence[str],
    settings: NamingSettings | None = None,
    *,
    texts: Sequence[str] | None = None,
    kept: Mapping[str, Relation] | None = None,
    chat: Chat | None = None,
    cache: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Proposal]:
    """Names of all discovered relations, each marked with who proposed it.

    A language model reads the clearest pairs of a relation, some of the others' and the words that are typical of its
    pairs. Where its answer cannot be used, or without a model, keywords stand in, and ``proposed_by`` is
    ``"keywords"``. A relation without keywords keeps its name for a label.

    The direction is what the posterior says, as :func:`lrdgraph.naming.direction.symmetric` reads it; the model's word
    counts where too few candidate pairs stand there both ways.

    Args:
        source: a model with discovered relations (one that has ``enriched()``), or an enriched graph.
        titles: ``N`` titles in vocabulary order.
        settings: which model, and how much it reads.
        texts: ``N`` texts that tell more of the items than their titles; the titles where None.
        kept: name → relation, those that are not to be named anew; their labels are taken.
        chat: a model of a caller's own, marked as the settings' ``model``; nothing is loaded then.
        cache: folder in which the weights of a GGUF file are kept unpacked.
        progress: called with ``(done, K)`` after each relation.

    Returns:
        ``K`` proposals in the relations' order; those of kept relations hold them as they are.

    Raises:
        ConfigError, DataError, MissingExtraError: as :func:`lrdgraph.export.relation_report`,
            :func:`lrdgraph.naming.chat.open_chat` and the chat itself; or there is not one text for each item.
    """
    settings, kept = settings or NamingSettings(), kept or {}
    graph = discovered(source)
    told = pl.Series("text", titles if texts is None else texts, dtype=pl.String)
    if len(told) != graph.graph.num_items:
        raise DataError(f"There are {len(told)} texts for {graph.graph.num_items} items; give one each.")
    summaries = relation_report(graph, titles, max(settings.pairs, settings.keyword_pairs))
    pairs = [_pairs(graph, told, summary.examples) for summary in summaries]
    typical = keywords([[" ".join(pair) for pair in some[: settings.keyword_pairs]] for some in pairs])
    agreements = agreement(graph)
    names = [relation.name for relation in graph.latent]
    if chat is None and settings.proposer != KEYWORDS and not set(names) <= kept.keys():
        chat = open_chat(settings.language_model(), cache)
    taken = {relation.label.casefold() for relation in (*graph.graph.relations, *kept.values())}
    found: list[Proposal] = []
    for k, relation in enumerate(graph.latent):
        if relation.name in kept:
            proposal = Proposal(kept[relation.name])
        else:
            proposal = _by_keywords(relation, typical[k], len(pairs[k][: settings.keyword_pairs]), taken)
            proposal = Proposal(replace(proposal.relation, symmetric=symmetric(agreements[k])))
            if chat is not None and pairs[k]:
                others = _others(pairs[: len(names)], k, settings.pairs)
                proposal = _by_model(chat, settings, proposal.relation, pairs[k], others, typical[k], taken)
            taken.add(proposal.relation.label.casefold())
        found.append(proposal)
        if progress is not None:
            progress(k + 1, len(names))
    return found


def item_texts(fields: pl.DataFrame, titles: Sequence[str]) -> list[str]:
    """Each item's title with its other text fields in brackets; what is a number alone, as a year, is left out.

    Args:
        fields: ``N`` rows of item fields.
        titles: ``N`` readable names.
    """
    there = [name for name, kind in fields.schema.items() if kind in (pl.String, pl.List(pl.String))]
    ordered = [*(name for name in ORDER if name in there), *(name for name in there if name not in ORDER)]
    title = clean_text(pl.Series("title", titles, dtype=pl.String))
    rest = [clean_text(fields[name]).alias(f"field:{name}") for name in ordered]
    number = r"^[\d\s.,]*$"
    told = pl.DataFrame([title, *rest]).select(
        "title",
        pl.concat_str(
            [
                pl.when(~pl.col(f"field:{name}").str.contains(number) & (pl.col(f"field:{name}") != title))
                .then(pl.col(f"field:{name}"))
                .alias(name)
                for name in ordered
            ]
            or [pl.lit("")],
            separator=", ",
            ignore_nulls=True,
        ).alias("rest"),
    )
    whole = pl.when(pl.col("rest") == "").then("title").otherwise(pl.format("{} ({})", "title", "rest"))
    return told.select(whole.alias("text"))["text"].to_list()


def _pairs(graph: EnrichedGraph, texts: pl.Series, examples: Sequence[Example]) -> list[Pair]:
    """Texts of the clear ones of a relation's examples, the clearest first."""
    clear = [one for one in examples if one.posterior >= CLEAR * examples[0].posterior]
    head, tail = (
        texts.gather(graph.graph.items.index([getattr(one, end) for one in clear]) - 1) for end in ("head", "tail")
    )
    return list(zip(head, tail, strict=True))


def _others(pairs: Sequence[Sequence[Pair]], k: int, at_most: int) -> list[Pair]:
    """The clearest pairs of the other relations in turn, few enough not to outweigh those of relation ``k``."""
    rest = [some for other, some in enumerate(pairs) if other != k]
    return [some[n] for n in range(at_most) for some in rest if n < len(some)][: min(OTHERS, at_most)]


def _by_keywords(relation: Relation, typical: Sequence[Keyword], number: int, taken: Collection[str]) -> Proposal:
    typical = [keyword for keyword in typical if keyword.typical]
    if not typical:
        said = f"No word sets its {number} clearest pairs apart."
        return Proposal(Relation(relation.name, "latent", "", said, proposed_by=KEYWORDS))
    words = [keyword.word for keyword in typical]
    labels = [", ".join(words[:count]) for count in range(min(LABEL_WORDS, len(words)), len(words) + 1)]
    labels += [f"{labels[0]} {number}" for number in range(2, len(taken) + 3)]
    label = next(label for label in labels if label.casefold() not in taken)
    shares = ", ".join(f"{keyword.word} ({keyword.share:.0%})" for keyword in typical)
    said = f"Words that set its {number} clearest pairs apart: {shares}."
    return Proposal(Relation(relation.name, "latent", label, said, proposed_by=KEYWORDS))


def _by_model(
    chat: Chat,
    settings: NamingSettings,
    fallback: Relation,
    pairs: Sequence[Pair],
    others: Sequence[Pair],
    typical: Sequence[Keyword],
    taken: Collection[str],
) -> Proposal:
    words = [keyword.word for keyword in typical]
    # a small model mixes up both lists of pairs when it is to tell of one
    name, sentence, direction = (
        chat(turns(question, pairs[: settings.pairs], contrast, words), settings.max_new_tokens)
        for question, contrast in ((NAME, others), (SENTENCE, ()), (DIRECTION, ()))
    )
    notes = []
    says = parse_direction(direction)
    measured = fallback.symmetric
    if measured is None:
        fallback = replace(fallback, symmetric=says)
    elif says is not None and says != measured:
        ways = ("from head to tail", "both ways")
        notes.append(f"the model says that it runs {ways[says]}; by the posterior it runs {ways[measured]}")
    label = parse_name(name)
    if label is None or label.casefold() in taken:
        why = "has no usable name" if label is None else "repeats a name"
        notes.append(f"the model's answer {clean(name)[:60]!r} {why}; keywords stand in")
        return Proposal(fallback, tuple(notes))
    said = parse_sentence(sentence)
    if said is None:
        notes.append(f"the model's sentence {clean(sentence)[:60]!r} is not usable; keywords stand in for it")
    described = replace(fallback, label=label, description=said or fallback.description)
    return Proposal(replace(described, proposed_by=settings.proposer), tuple(notes))
