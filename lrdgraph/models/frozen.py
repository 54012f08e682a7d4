"""Discovery trained first, by itself, and frozen: the control that tells what joint training is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.encoders import StandardText
from lrdgraph.discovery.fit import discover
from lrdgraph.discovery.pairs import history_pairs
from lrdgraph.discovery.text_prior import start_from_texts
from lrdgraph.errors import ConfigError
from lrdgraph.models.inputs import ModelInputs

if TYPE_CHECKING:
    from lrdgraph.models.flagship_settings import FlagshipSettings
    from lrdgraph.models.latent_relations import LatentSettings


def check_first(settings: LatentSettings | FlagshipSettings) -> None:
    """Refuse settings under which discovery cannot be trained first, or nobody would read what it finds.

    Raises:
        ConfigError: what to change.
    """
    if settings.discovery_training != "first":
        return
    if settings.objective == "published":
        raise ConfigError(
            "Discovery that is trained first is trained by the ELBO; set objective to 'elbo', or discovery_training to "
            "'joint'."
        )
    if not getattr(settings, "read_posterior", True):
        raise ConfigError(
            "Discovery that is trained first gives the posterior alone; set read_posterior to true, or "
            "discovery_training to 'joint'."
        )
    exact = getattr(settings, "estimator", "exact") == "exact"
    if exact and settings.num_latent > settings.discovery_channels:
        raise ConfigError(
            f"Discovery that is trained first needs discovery_channels of num_latent, {settings.num_latent}, or more; "
            f"it is {settings.discovery_channels}."
        )


def train_first(dvae: RelationDVAE, inputs: ModelInputs, epoch: int, passes: int = 10) -> None:
    """Freeze ``dvae``; before the first epoch, with the encoder of a twin trained alone on pairs of training histories.

    The twin has item and relation vectors of its own. Chance follows from torch's seed as it was last set.

    Args:
        dvae: without tables of its own; its encoder is overwritten.
        inputs: gives training events and popularity.
        epoch: that begins; from the second on the encoder is that of a checkpoint.
        passes: over all pairs at most three events apart.
    """
    dvae.requires_grad_(False)
    if epoch:
        return
    twin = RelationDVAE(
        dvae.text,
        dvae.num_latent,
        dvae.hidden_channels,
        encoder=dvae.encoder_name,
        decoder=dvae.decoder_name,
        none_state=dvae.none_state,
        beta=dvae.beta,
        popularity=inputs.popularity.to(dvae.text.device),
        num_negatives=dvae.num_negatives,
        standardise=isinstance(dvae.standard, StandardText),
        estimator=dvae.estimator,
        temperature=dvae.temperature,
    ).to(dvae.text.device)
    pairs = history_pairs(inputs.sequences()).to(dvae.text.device)
    if dvae.prior_encoder is not None:
        start_from_texts(twin, pairs)
    discover(twin, pairs, epochs=passes, learning_rate=0.005, seed=torch.initial_seed() % 2**31)
    dvae.encoder.load_state_dict(twin.encoder.state_dict())
