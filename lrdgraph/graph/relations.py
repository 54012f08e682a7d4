"""The relations a graph knows: each has a name, a kind and a label, and a position in the relation table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from lrdgraph.errors import DataError, UnknownIdError, nearest

Kind = Literal["predefined", "inverse", "attribute", "latent"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Relation:
    """One relation.

    Attributes:
        name: unique in its vocabulary, e.g. ``"complement"``.
        kind: ``"predefined"`` joins items, ``"attribute"`` joins items to attribute values only, ``"inverse"`` is the
            transpose of one of these, ``"latent"`` was discovered.
        label: what a reader sees; the name where none is given.
        description: a sentence on what the relation says of (head, tail); may be empty.
        symmetric: whether it says the same of (tail, head); None where nobody has said.
        proposed_by: the model, or the method, that proposed label and description; empty where a person gave them.

    Raises:
        DataError: the name is empty or the kind is unknown.
    """

    name: str
    kind: Kind = "predefined"
    label: str = ""
    description: str = ""
    symmetric: bool | None = None
    proposed_by: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise DataError("A relation has an empty name; give every relation a name.")
        if self.kind not in KINDS:
            raise DataError(
                f"Relation '{self.name}' has kind '{self.kind}'; known kinds are {', '.join(KINDS)}"
                f"{nearest(str(self.kind), KINDS)}."
            )
        if not self.label:
            object.__setattr__(self, "label", self.name)


class RelationVocabulary:
    """An ordered set of relations; the first has position 0, which is also its row in a relation table.

    Args:
        relations: relations with distinct names.

    Raises:
        DataError: a name occurs twice.
    """

    def __init__(self, relations: Iterable[Relation] = ()) -> None:
        self._relations = tuple(relations)
        self._index: dict[str, int] = {}
        for position, relation in enumerate(self._relations):
            if relation.name in self._index:
                raise DataError(f"The relation name '{relation.name}' occurs more than once; rename one of them.")
            self._index[relation.name] = position

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of their positions."""
        return tuple(self._index)

    def __len__(self) -> int:
        return len(self._relations)

    def __iter__(self) -> Iterator[Relation]:
        return iter(self._relations)

    def __getitem__(self, position: int) -> Relation:
        return self._relations[position]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RelationVocabulary) and self._relations == other._relations

    def __hash__(self) -> int:
        return hash(self._relations)

    def __repr__(self) -> str:
        return f"RelationVocabulary({', '.join(f'{r.name} [{r.kind}]' for r in self)})"

    def index(self, name: str) -> int:
        """Position of a relation, from 0.

        Raises:
            UnknownIdError: there is no relation of that name; the message names the nearest one.
        """
        if name not in self._index:
            hint = nearest(name, self._index) or f"; known are {', '.join(self._index) or 'none'}"
            raise UnknownIdError(f"The graph has no relation '{name}'{hint}.")
        return self._index[name]

    def of_kind(self, *kinds: Kind) -> list[int]:
        """Positions of all relations of these kinds, in order."""
        return [position for position, relation in enumerate(self._relations) if relation.kind in kinds]

    def add(self, *relations: Relation) -> RelationVocabulary:
        """A new vocabulary with ``relations`` appended; positions of the old ones stay.

        Raises:
            DataError: a name is taken.
        """
        return RelationVocabulary((*self._relations, *relations))

    def to_json(self) -> list[dict[str, Any]]:
        """The attributes of each relation, in order: name, kind and label always, the others where they are set."""
        return [_told(relation) for relation in self._relations]

    @classmethod
    def from_json(cls, rows: Any) -> RelationVocabulary:
        """Read what :meth:`to_json` gave.

        Raises:
            DataError: ``rows`` is something else.
        """
        try:
            return cls(_read(row) for row in rows)
        except (TypeError, KeyError, AttributeError):
            raise DataError("A relation list must hold a name, a kind and a label for each relation.") from None


def _told(relation: Relation) -> dict[str, Any]:
    always = ("name", "kind", "label")
    return {key: value for key, value in asdict(relation).items() if key in always or value not in ("", None)}


def _read(row: Mapping[str, Any]) -> Relation:
    texts = {key: str(row[key]) for key in ("description", "proposed_by") if key in row}
    symmetric = row.get("symmetric")
    if not (symmetric is None or isinstance(symmetric, bool)):
        raise DataError(f"'symmetric' of relation '{row['name']}' is {symmetric!r}; it is true, false or left out.")
    return Relation(str(row["name"]), row["kind"], str(row["label"]), symmetric=symmetric, **texts)
