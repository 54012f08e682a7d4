"""The contract of a recommender, and what all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from lrdgraph.batch import Batch
from lrdgraph.discovery.diagnostics import Usage, warnings
from lrdgraph.graph.relations import Relation
from lrdgraph.models.evidence import Explanation
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.recommend import Recommendation, recommend

Made = TypeVar("Made")


class Recommender(nn.Module, ABC):
    """Scores items as the next event of a history.

    A model is built as ``Model(inputs, settings)``, where ``Settings`` is a frozen dataclass of its own. One contract
    test runs over every registered model.

    Attributes:
        Settings: the dataclass of its settings; every field has a default.
        max_length: ``L``, how many recent events it reads.
        trainable: False for statistics that need no training.
        learns_last: in training, each transition is a row of its own with all of its history, and the last column alone
            has a target; else a row learns every transition of its window.
        reads_text: True for a model that reads language vectors whatever its settings.
        reads_moment: False for a model whose scores are the same whenever they are asked for.
        latent_relations: the discovered relations as readers are to see them; labels may be set, names stay.
    """

    Settings: ClassVar[type]
    max_length: int = 20
    trainable: bool = True
    learns_last: bool = False
    reads_text: bool = False
    reads_moment: bool = True
    latent_relations: tuple[Relation, ...] = ()

    def __init__(self, inputs: ModelInputs, settings: Any) -> None:
        super().__init__()
        self.inputs = inputs
        self.settings = settings
        self._cache: dict[str, Any] = {}
        self.register_load_state_dict_post_hook(_forget)

    @abstractmethod
    def score(self, batch: Batch, candidates: Tensor | None = None) -> Tensor:
        """Scores of the event after the last column.

        Args:
            batch: ``B`` histories.
            candidates: None for all items, ``(C,)`` items shared by all rows, or ``(B, C)`` items.

        Returns:
            ``(B, N + 1)`` (column 0 is padding and meaningless) or ``(B, C)``.
        """

    def explain(self, batch: Batch, candidates: Tensor) -> Explanation | None:
        """The parts of the scores of ``(B, C)`` candidates that can be told as reasons; None where there are none."""
        return None

    def recommend(
        self,
        histories: Sequence[Sequence[str]],
        times: Sequence[Sequence[int]] | None = None,
        at: int | Sequence[int] | None = None,
        k: int = 10,
        *,
        users: Sequence[int] | None = None,
        filter_seen: bool = True,
        only: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        reasons: int = 0,
    ) -> list[list[Recommendation]]:
        """The best ``k`` items for any histories of external ids; see :func:`lrdgraph.models.recommend.recommend`."""
        return recommend(
            self,
            histories,
            times,
            at,
            k,
            users=users,
            filter_seen=filter_seen,
            only=only,
            exclude=exclude,
            reasons=reasons,
        )

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalar terms of one training batch; ``"total"`` is what is minimised."""
        raise TypeError(f"{type(self).__name__} has nothing to train; its score is a statistic.")

    def start_epoch(self, epoch: int) -> None:
        """Called before every training epoch, from 0; a model with a schedule overrides it."""

    def relation_usage(self) -> Usage | None:
        """How discovered relations are used as the model stands; None without discovery."""
        return None

    def diagnostics(self) -> dict[str, float]:
        """Figures worth logging once per epoch, besides the loss."""
        found = self.relation_usage()
        return {} if found is None else {f"relations/{name}": value for name, value in found.figures().items()}

    def compile_parts(self, once: bool = False) -> None:
        """Compile the parts that gain from it, in place, ``once`` those that do within one evaluation; none here."""

    def warnings(self) -> list[str]:
        """Sentences on what has gone wrong in the model as it stands."""
        found = self.relation_usage()
        return [] if found is None else warnings(found)

    def kept(self, name: str, make: Callable[[], Made]) -> Made:
        """What ``make`` gives; made once for all calls of one ``name`` in evaluation mode without gradients.

        It is forgotten when weights are loaded or moved, and when the mode changes.
        """
        if self.training or torch.is_grad_enabled():
            return make()
        if name not in self._cache:
            self._cache[name] = make()
        made: Made = self._cache[name]
        return made

    def train(self, mode: bool = True) -> Recommender:
        """Switch mode as torch does, and forget vectors that were kept for scoring."""
        self._cache.clear()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Recommender:
        self._cache.clear()  # another device or precision
        return super()._apply(fn, recurse)

    @property
    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def __repr__(self) -> str:
        size = f"{self.inputs.num_items:,} items, {self.num_parameters:,} parameters"
        return f"{type(self).__name__}({size}, {self.settings})"


def _forget(model: Recommender, _: object) -> None:
    """Vectors that were kept for scoring are those of other weights."""
    model._cache.clear()


def pick(scores: Tensor, candidates: Tensor | None) -> Tensor:
    """Columns of ``(B, N + 1)`` scores for candidates in any of the three forms of :meth:`Recommender.score`."""
    if candidates is None:
        return scores
    return scores[:, candidates] if candidates.dim() == 1 else scores.gather(1, candidates)


def dot(query: Tensor, items: Tensor, bias: Tensor, candidates: Tensor | None) -> Tensor:
    """``q · x_c + b_c`` of ``(B, D)`` queries against an ``(N + 1, D)`` table, for candidates in any of the forms."""
    if candidates is None:
        return query @ items.T + bias
    if candidates.dim() == 1:
        return query @ items[candidates].T + bias[candidates]
    return (items[candidates] @ query[:, :, None]).squeeze(2) + bias[candidates]
