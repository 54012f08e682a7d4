"""KDA: relation-aware attention in which every relation fades with time in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor

from lrdgraph.batch import Batch
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.models.registry import register
from lrdgraph.models.relation_aware import RelationAware, RelationAwareSettings
from lrdgraph.nn.time import FourierDecay


@dataclass(frozen=True)
class KDASettings(RelationAwareSettings):
    """As the shell, and the decay.

    Attributes:
        frequency_points: of the Fourier transform.
        decay_start: ``"one"`` begins without decay, ``"random"`` as the public commands do.
        time: ``"request"`` reads the time up to the request, ``"history"`` up to the last event.
    """

    frequency_points: Annotated[int, Ge(0)] = 64
    decay_start: Literal["one", "random"] = "one"
    time: Literal["request", "history"] = "request"


@register("kda")
class KDA(RelationAware):
    """*Toward Dynamic User Intention: Temporal Evolutionary Effects of Item Relations* (Wang et al., TOIS 2020).

    As the public LRD code has it, with decays that start at random or at one; starting them from the observed
    distribution of intervals is left out. With ``num_latent`` above 0 it is KDA + LRD (arXiv 2403.18348).
    """

    Settings = KDASettings
    name = "kda"

    def __init__(self, inputs: ModelInputs, settings: KDASettings) -> None:
        super().__init__(inputs, settings)
        self.reads_moment = settings.time == "request"
        self.decay = FourierDecay(len(self.relations), settings.frequency_points, settings.decay_start)

    def event_weight(self, batch: Batch) -> Tensor:
        moment = batch.moment if self.settings.time == "request" else batch.history_time
        return self.decay(moment[:, -1:] - batch.history_time)
