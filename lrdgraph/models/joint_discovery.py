"""The discovery that a recommender trains together with itself."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from torch import Tensor

from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.errors import ConfigError
from lrdgraph.models.frozen import check_first
from lrdgraph.models.inputs import ModelInputs

if TYPE_CHECKING:
    from lrdgraph.models.flagship_settings import FlagshipSettings


def check_settings(settings: FlagshipSettings) -> None:
    """Refuse settings of the flagship that contradict each other.

    Raises:
        ConfigError: what to change.
    """
    if settings.evidence_gate and not settings.evidence:
        raise ConfigError("evidence_gate weighs evidence, and evidence is false; set one of them otherwise.")
    if not settings.num_latent:
        return
    if settings.objective == "published" and settings.none_state:
        raise ConfigError("The published objective has no 'none' state; set none_state to false.")
    if settings.latent != "discovered":
        return
    if not 0 < settings.decoder_scale < inf:
        raise ConfigError(f"decoder_scale is {settings.decoder_scale}; it must be above 0 and finite.")
    check_first(settings)
    if settings.discovery_prior == "texts" and (settings.encoder != "interaction" or settings.objective == "published"):
        raise ConfigError(
            "A prior from texts needs the interaction encoder and the ELBO; set discovery_prior to 'uniform'."
        )
    if settings.objective == "published" and settings.loss == "shared-cross-entropy":
        raise ConfigError("The published objective reads all items; set objective to 'elbo', or another loss.")


def joint_discovery(settings: FlagshipSettings, text: Tensor, inputs: ModelInputs) -> RelationDVAE:
    """A :class:`lrdgraph.discovery.dvae.RelationDVAE` without tables of its own, for the flagship's ``settings``."""
    discovery = RelationDVAE(
        text,
        settings.num_latent,
        settings.discovery_channels,
        encoder=settings.encoder,
        decoder=settings.decoder,
        none_state=settings.none_state,
        beta=settings.beta,
        popularity=inputs.popularity,
        num_negatives=512,
        own_tables=False,
        estimator=settings.estimator,
    )
    if settings.discovery_prior == "texts":
        discovery.keep_prior()  # filled before the first epoch, or by a checkpoint
    return discovery
