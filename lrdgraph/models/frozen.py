"""Discovery trained first, by itself, and frozen: the control that tells what joint training is worth."""

from __future__ import annotations

import numpy as np
import torch

from lrdgraph.discovery.dvae import RelationDVAE
from lrdgraph.discovery.fit import discover
from lrdgraph.discovery.pairs import history_pairs
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.splits import Sequences


def train_first(dvae: RelationDVAE, inputs: ModelInputs, epochs: int = 10) -> None:
    """Give ``dvae`` the encoder of a twin that was trained alone on the pairs of the training histories.

    The twin has item and relation vectors of its own. Chance follows from torch's seed as it was last set.

    Args:
        dvae: without tables of its own; its encoder is overwritten.
        inputs: gives training events and popularity.
        epochs: passes over all pairs at most three events apart.
    """
    user, item, time = (row.numpy() for row in inputs.events)
    order = np.argsort(user, kind="stable")
    counts = np.bincount(user, minlength=inputs.num_users + 1)
    events = Sequences(item[order], time[order], np.concatenate([[0], np.cumsum(counts)]))
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
    ).to(dvae.text.device)
    pairs = history_pairs(events).to(dvae.text.device)
    discover(twin, pairs, epochs=epochs, learning_rate=0.005, seed=torch.initial_seed() % 2**31)
    dvae.encoder.load_state_dict(twin.encoder.state_dict())
