"""Transformer blocks with the norm before each part, as in ViT (Dosovitskiy et al., arXiv 2010.11929)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from avssl.functional.checks import check


class Transformer(nn.Module):
    """Blocks of attention and MLP, then a norm, over tokens [b n width].

    With several `kinds` of input the weights are shared and each kind has its own norms (CAV-MAE, arXiv 2210.07839).
    UserError: no block; heads that do not divide the width.
    """

    def __init__(self, width: int, depth: int, heads: int, kinds: int = 1) -> None:
        super().__init__()
        check("depth", depth, depth > 0, "1 and more")
        self.blocks = nn.ModuleList(Block(width, heads, kinds) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(kinds))
        self.apply(xavier)

    def forward(self, tokens: Float[Tensor, "b n w"], kind: int = 0) -> Float[Tensor, "b n w"]:
        for block in self.blocks:
            tokens = block(tokens, kind)
        return self.norms[kind](tokens)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); the MLP is four times as wide inside."""

    def __init__(self, width: int, heads: int, kinds: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.attention_norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(kinds))
        self.mlp_norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(kinds))

    def forward(self, x: Float[Tensor, "b n w"], kind: int) -> Float[Tensor, "b n w"]:
        x = x + self.attention(self.attention_norms[kind](x))
        return x + self.mlp(self.mlp_norms[kind](x))


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        check("heads", heads, heads > 0 and width % heads == 0, f"divisors of width={width}")
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        query, key, value = self.inputs(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.output(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


def xavier(module: nn.Module) -> None:
    """Initialise a linear layer as MAE does (arXiv 2111.06377, appendix A)."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
