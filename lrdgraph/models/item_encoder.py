"""Item vectors from what is learned of an item and what its text says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.errors import ConfigError
from lrdgraph.nn.moments import MANY, column_moments
from lrdgraph.nn.rows import take_rows


class ItemEncoder(nn.Module):
    """``x_i = e_i + W t_i``: a free vector plus a projection of the language vector.

    ``t`` is brought to mean 0 and variance 1 / T over items in each column. Mean and scale are measured once and saved
    with the weights, so that items added later are read as those that were trained on.

    An item never trained on has ``e_i = 0`` (see ``popularity``), so that its text alone speaks for it.

    Shapes: ``forward() -> (N + 1, D)``, row 0 zero.

    Args:
        popularity: ``(N + 1,)`` training counts; a free vector exists where the count is above zero.
        text: ``(N + 1, T)`` or None; in half precision it stays so, and rows are converted as they are read.
        hidden_channels: ``D``.
        dropout: on the language vectors.
        use_id: whether there are free vectors at all.

    Raises:
        ConfigError: neither text nor free vectors are wanted.
    """

    seen: Tensor
    text: Tensor | None
    mean: Tensor
    scale: Tensor

    def __init__(
        self, popularity: Tensor, text: Tensor | None, hidden_channels: int, dropout: float = 0.0, use_id: bool = True
    ) -> None:
        super().__init__()
        if text is None and not use_id:
            raise ConfigError("Items have neither text nor free vectors; set text or use_id.")
        self.register_buffer("seen", (popularity > 0).float()[:, None], persistent=False)
        half = text is not None and text.dtype in (torch.float16, torch.bfloat16)
        self.register_buffer("text", text if text is None or half else text.float(), persistent=False)
        if text is not None:
            if len(text) > MANY:
                mean, variance = column_moments(text[1:])
                deviation = variance.sqrt()
            else:
                own = text[1:].float()
                mean, deviation = own.mean(0), own.std(0, correction=min(1, len(own) - 1))  # 0 where there is one item
            self.register_buffer("mean", mean.float())
            self.register_buffer("scale", deviation.float().clamp(min=1e-6) * text.size(1) ** 0.5)
        self.free = nn.Embedding(len(popularity), hidden_channels) if use_id else None
        self.project = None if text is None else nn.Linear(text.size(1), hidden_channels, bias=False)
        self.dropout = dropout
        if self.free is not None:
            nn.init.normal_(self.free.weight, std=hidden_channels**-0.5 / 4)
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=hidden_channels**-0.5 / 2)

    def forward(self) -> Tensor:
        parts = []
        if self.free is not None:
            parts.append(self.free.weight * self.seen)
        if self.project is not None and self.text is not None:
            parts.append(F.pad(self._projected(self.project, self.text[1:]), (0, 0, 1, 0)))
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]

    def rows(self, items: Tensor, sparse: bool = False) -> Tensor:
        """``(n, D)`` of items ``(n,)`` that rise and are distinct, 0 not among them, at the cost of these alone.

        Args:
            items: which.
            sparse: give the free vectors a sparse gradient.
        """
        parts = []
        if self.free is not None:
            parts.append(take_rows(self.free.weight, items, sparse) * self.seen.index_select(0, items))
        if self.project is not None and self.text is not None:
            parts.append(self._projected(self.project, self.text.index_select(0, items)))
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]

    def _projected(self, project: nn.Linear, text: Tensor) -> Tensor:
        text = text - self.mean
        text = F.dropout(text, self.dropout, self.training) if self.dropout else text
        # the scale divides the smaller matrix
        return F.linear(text, project.weight / self.scale)
