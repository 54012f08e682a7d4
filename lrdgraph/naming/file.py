"""The names of a run's discovered relations, in a file that people edit."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrdgraph.config import read_toml, settings
from lrdgraph.errors import DataError, nearest
from lrdgraph.graph.relations import Relation
from lrdgraph.storage import atomic_file

FILE = "relations.toml"
"""Its name in the folder of a run."""
LABEL_LIMIT, DESCRIPTION_LIMIT = 80, 500
"""Characters of a label and of a description at most."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# Names of the discovered relations; `lrdgraph name` proposed those that say by whom. Edit what you like: an entry whose
# seal no longer fits was edited by a person, and is kept when names are proposed again. An entry that you write
# yourself needs a label alone; symmetric is true, false, or left out where nobody knows.
"""


@dataclass(frozen=True)
class _Entry:
    """A table of the file."""

    label: str
    description: str = ""
    symmetric: bool | None = None
    proposed_by: str = ""
    seal: str = ""

    def __post_init__(self) -> None:
        limits = {"label": LABEL_LIMIT, "description": DESCRIPTION_LIMIT, "proposed_by": DESCRIPTION_LIMIT}
        for name, limit in limits.items():
            text = getattr(self, name)
            if len(text.splitlines()) > 1 or any(unicodedata.category(mark) in ("Cc", "Cs") for mark in text):
                raise ValueError(f"its {name} holds a line break or a control character; write one plain line")
            if len(text) > limit:
                raise ValueError(f"its {name} has {len(text)} characters; write {limit} at most")
        if not self.label.strip():
            raise ValueError("its label is empty; write one, or remove the entry")


def read_names(path: Path | str, known: Sequence[str]) -> dict[str, Relation]:
    """Read the entries of a file of names.

    Args:
        path: a TOML file with a table for each named relation, any of them left out.
        known: names of all discovered relations.

    Returns:
        Name → relation. One that a person wrote or edited has an empty ``proposed_by``.

    Raises:
        ConfigError: the file is missing or is no TOML, or an entry has an unknown key or a value of the wrong type,
            too long or of more than one line.
        DataError: an entry is for a relation that there is not, or two labels are the same.
    """
    found: dict[str, Relation] = {}
    for name, values in read_toml(path).items():
        if name not in known:
            hint = nearest(name, known) or f"; it has {', '.join(known) or 'none'}"
            raise DataError(f"{path} names '{name}', which the model has not discovered{hint}.")
        entry = settings(_Entry, values, f"{path} [{name}]")
        relation = Relation(name, "latent", entry.label, entry.description, entry.symmetric, entry.proposed_by)
        found[name] = relation if entry.seal == _seal(relation) else replace(relation, proposed_by="")
    _check_distinct([found.get(name, Relation(name, "latent")) for name in known], path)
    return found


def named(relations: Sequence[Relation], path: Path | str) -> tuple[Relation, ...]:
    """The relations with what a file says of them; as they are where there is no such file.

    Raises:
        ConfigError, DataError: as :func:`read_names`.
    """
    if not Path(path).exists():
        return tuple(relations)
    found = read_names(path, [relation.name for relation in relations])
    return tuple(found.get(relation.name, relation) for relation in relations)


def write_names(path: Path | str, relations: Iterable[Relation]) -> None:
    """Write the file anew, with an entry for each relation of which something is told.

    Raises:
        ConfigError: a label or a description is too long, or of more than one line.
        DataError: two labels are the same.
    """
    entries = [relation for relation in relations if told(relation)]
    _check_distinct(entries, path)
    parts = [_HEAD]
    for relation in entries:
        held = {key: getattr(relation, key) for key in ("label", "description", "symmetric", "proposed_by")}
        values = {key: value for key, value in held.items() if value not in ("", None)}
        settings(_Entry, values, f"{path} [{relation.name}]")
        if relation.proposed_by:
            values["seal"] = _seal(relation)
        # a string of JSON is a string of TOML, since neither holds control characters
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items()]
        key = relation.name if _BARE.fullmatch(relation.name) else json.dumps(relation.name, ensure_ascii=False)
        parts.append(f"\n[{key}]\n{''.join(lines)}")
    with atomic_file(Path(path)) as temporary:
        temporary.write_text("".join(parts), encoding="utf-8")


def told(relation: Relation) -> bool:
    """Whether anything is said of a relation: a label of its own, a description or a direction."""
    return relation.label != relation.name or bool(relation.description) or relation.symmetric is not None


def _seal(relation: Relation) -> str:
    """What fits a proposal as it was made, and no edited one."""
    said = [relation.label, relation.description, relation.symmetric, relation.proposed_by]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _check_distinct(relations: Iterable[Relation], path: Path | str) -> None:
    taken: dict[str, str] = {}
    for relation in relations:
        first = taken.setdefault(relation.label.casefold(), relation.name)
        if first != relation.name:
            raise DataError(f"{path} gives {first} and {relation.name} the label '{relation.label}'; rename one.")
