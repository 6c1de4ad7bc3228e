"""Which bank rows each anchor is told apart from."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check
from avssl.functional.sampling import rows_excluding
from avssl.functional.seeding import seed_for


class NegativeSampler(nn.Module):
    """Uniform draws with replacement: a function of (seed, draws before), the same on any number of ranks.

    UserError: more negatives than there are other instances.

    >>> import torch
    >>> from avssl.state import NegativeSampler
    >>> sampler = NegativeSampler(num_instances=4, num_negatives=3, seed=0)
    >>> rows = sampler(torch.tensor([[2], [0]]))
    >>> tuple(rows.shape), 2 in rows[0], 0 in rows[1]
    ((2, 3), False, False)
    """

    def __init__(self, num_instances: int, num_negatives: int, seed: int) -> None:
        super().__init__()
        most = num_instances - 1
        check("num_negatives", num_negatives, 1 <= num_negatives <= most, f"1 to {most} ({num_instances} instances)")
        self.num_instances, self.num_negatives, self.seed = num_instances, num_negatives, seed
        self.draws = 0

    def forward(self, excluded: Int64[Tensor, "b e"]) -> Int64[Tensor, "b k"]:
        """Rows for each local anchor, none of them among its `excluded` ones (negative entries exclude nothing)."""
        local, device = excluded.shape[0], excluded.device
        generator = torch.Generator(device).manual_seed(seed_for(self.seed, self.draws))
        self.draws += 1
        shape = local * distributed.world_size(), self.num_negatives
        uniform = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
        return rows_excluding(uniform[distributed.global_rows(local)], excluded, self.num_instances)

    def get_extra_state(self) -> int:
        return self.draws

    def set_extra_state(self, state: int) -> None:
        self.draws = state
