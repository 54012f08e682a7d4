"""A transformer over padded histories."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.errors import ConfigError


class HistoryTransformer(nn.Module):
    """Pre-norm self-attention in which an event sees itself and what came before it, or all events.

    Source: Kang and McAuley, *Self-Attentive Sequential Recommendation* (arXiv 1808.09781), or both ways Sun et al.,
    *BERT4Rec* (arXiv 1904.06690), with layer norm first (Xiong et al., arXiv 2002.04745).

    Shapes:
        - input: ``(B, L, D)`` vectors and ``(B, L)`` bool, true where an event is real (padding stands on the left)
        - output: ``(B, L, D)``; what stands at padding is meaningless

    Args:
        hidden_channels: ``D``.
        num_layers: attention blocks.
        num_heads: heads; must divide ``D``.
        dropout: on attention weights and on both residual branches.
        causal: False where an event sees those after it as well.

    Raises:
        ConfigError: the heads do not divide ``D``.
    """

    def __init__(
        self,
        hidden_channels: int,
        num_layers: int = 2,
        num_heads: int = 2,
        dropout: float = 0.5,
        causal: bool = True,
    ) -> None:
        super().__init__()
        if hidden_channels % num_heads:
            raise ConfigError(f"num_heads={num_heads} must divide hidden_channels={hidden_channels}; change one.")
        self.blocks = nn.ModuleList(Block(hidden_channels, num_heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_channels)
        self.dropout = dropout
        self.causal = causal

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        length = x.size(1)
        visible = torch.ones(length, length, dtype=torch.bool, device=x.device)
        visible = visible.tril() if self.causal else visible
        # a padded query may see itself, or its softmax would run over nothing and give NaN
        itself = torch.eye(length, dtype=torch.bool, device=x.device)
        mask = ((real[:, None, :] & visible) | itself)[:, None]  # (B, 1, L, L)
        dropout = self.dropout if self.training else 0.0
        attend = partial(F.scaled_dot_product_attention, attn_mask=mask, dropout_p=dropout)
        for block in self.blocks:
            x = block(x, attend)
        return self.norm(x)


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values ``(B, heads, L, D / heads)`` to what each event reads, of the same shape."""


class Block(nn.Module):
    """Attention as it is given, and a feed-forward network, each with layer norm first and a residual.

    Args:
        channels: ``D``.
        num_heads: divides ``D``.
        dropout: on both residual branches.
    """

    def __init__(self, channels: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.norm_attention = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm_feed = nn.LayerNorm(channels)
        self.up = nn.Linear(channels, 2 * channels)
        self.down = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        b, n, d = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(b, n, 3, self.num_heads, d // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # 3 × (B, heads, L, D / heads)
        mixed = attend(q, k, v)
        x = x + F.dropout(self.out(mixed.transpose(1, 2).reshape(b, n, d)), self.dropout, self.training)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm_feed(x)))), self.dropout, self.training)
