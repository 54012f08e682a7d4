"""How a model is ranked: every choice that changes a reported number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lrdgraph.batch import RequestTime
from lrdgraph.config import at_least
from lrdgraph.errors import ConfigError

Ties = Literal["realistic", "pessimistic", "optimistic"]
Protocols = Literal["auto", "full", "candidates"]


@dataclass(frozen=True)
class EvaluationSettings:
    """What is ranked, against what, and how equal scores count.

    Attributes:
        ks: cut-offs of HR and NDCG.
        ties: competitors with the target's score count by half (``"realistic"``), all (``"pessimistic"``) or not at
            all (``"optimistic"``), under every protocol.
        filter_seen: under full ranking, items of the target's whole history do not compete.
        request: the moment of the request is the target's time or that of the last event before it.
        protocols: ``"full"`` ranks the target among all items, ``"candidates"`` among its published list, ``"auto"``
            does both where a list is published.
        batch_size: targets scored at once.
        item_chunk: items scored at once; a larger catalogue is scored in ranges of this many.
    """

    ks: tuple[int, ...] = (5, 10)
    ties: Ties = "realistic"
    filter_seen: bool = True
    request: RequestTime = "target"
    protocols: Protocols = "auto"
    batch_size: int = 256
    item_chunk: int = 65_536

    def __post_init__(self) -> None:
        object.__setattr__(self, "ks", tuple(self.ks))
        choices = {"ties": get_args(Ties), "request": get_args(RequestTime), "protocols": get_args(Protocols)}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"[evaluation] {name} is '{getattr(self, name)}'; it must be one of {', '.join(known)}."
                )
        if not self.ks or any(not isinstance(k, int) or k < 1 for k in self.ks) or len(set(self.ks)) != len(self.ks):
            raise ConfigError(f"[evaluation] ks is {self.ks}; give distinct whole numbers of at least 1.")
        at_least(self, "[evaluation] ", batch_size=1, item_chunk=2)
