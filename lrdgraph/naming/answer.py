"""What is usable of a language model's answer; a weak model rambles, copies and repeats."""

from __future__ import annotations

import re
import unicodedata

NAME_LIMIT, NAME_WORDS, SENTENCE_LIMIT = 60, 6, 240
"""Characters and words of a name, and characters of a sentence, at most."""
UNENDED = 20
"""Words from which on a sentence without a full stop counts as cut."""

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\|[^<>]*\|>")
_LEAD = re.compile(r"^(?:[-*•#>\s]|\d+[.)]\s|(?:short )?(?:name|answer|label|sentence|relation)\s*:)+", re.IGNORECASE)
_REMAINS = re.compile(r"->|[][(){}<>|=\"“”„«»_\\/]|\.\.\.|…|https?:")
_JOINED = re.compile(r"[.;:!?]\s")
_REFUSAL = re.compile(r"^(?:i|i['’]m|as an|sorry|the two items|the pairs?)\b", re.IGNORECASE)


def clean(answer: str) -> str:
    """The first line that says something, without markup, control characters and runs of white space."""
    text = _THOUGHT.sub("", answer)
    for line in text.splitlines():
        line = _TAG.sub(" ", line)
        line = "".join(" " if unicodedata.category(mark)[0] in "CZ" else mark for mark in line)
        line = _LEAD.sub("", line.replace("**", "").replace("`", "").strip())
        line = " ".join(line.split())
        if any(mark.isalnum() for mark in line):
            return line
    return ""


def parse_name(answer: str) -> str | None:
    """A name of one to six words, or None where the answer gives none.

    None for an answer that is too long, that holds what only copied pairs hold (arrows, brackets, inner quotes), that
    talks about its task, that is a list, or that says a word of four letters or more twice.
    """
    text = clean(answer).strip(" .,;:!?'’‘\"“”„«»-–")
    words = [re.sub(r"['’]s$", "", word.strip(".,;:!?").casefold()) for word in text.split()]
    long = [word for word in words if len(word) > 3]
    usable = (
        any(mark.isalpha() for mark in text)
        and len(text) <= NAME_LIMIT
        and len(words) <= NAME_WORDS
        and not _REMAINS.search(text)
        and not _JOINED.search(text)
        and text.count(",") < 2
        and not _REFUSAL.match(text)
        and len(set(long)) == len(long)
    )
    return text if usable else None


def parse_sentence(answer: str) -> str | None:
    """One sentence with a capital and a full stop, or None where the answer gives none.

    None for an answer of fewer than three words, that is too long or was cut, that holds what only copied pairs hold,
    or that says three words in a row twice, as a model in a loop does.
    """
    first = re.split(r"(?<=[.!?])\s+(?=\S)", clean(answer).strip(" \"“”„«»'"), maxsplit=1)[0]
    text = first.rstrip(" .,;:!?\"'")
    words = text.casefold().split()
    threes = list(zip(words, words[1:], words[2:], strict=False))
    usable = (
        len(words) >= 3
        and len(text) < SENTENCE_LIMIT
        and (len(words) < UNENDED or first[-1] in ".!?")
        and any(mark.isalpha() for mark in text)
        and not _REMAINS.search(text)
        and len(set(threes)) == len(threes)
    )
    return f"{text[0].upper()}{text[1:]}." if usable else None


def parse_direction(answer: str) -> bool | None:
    """True for "both ways", False for "first to second", None for anything else or for both at once."""
    text = clean(answer).casefold()
    both, one = re.search(r"\bboth\b", text), re.search(r"\bfirst to (?:the )?second\b", text)
    return None if bool(both) == bool(one) else bool(both)
