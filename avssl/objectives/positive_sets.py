"""When positive sets are mined from memory banks, and how (CMA, arXiv 2004.12943, section 4)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from avssl import distributed
from avssl.errors import UserError
from avssl.functional.checks import check
from avssl.functional.consensus import Rule, check_rule
from avssl.neighbors.mining import IndexKind, mine_positives

log = logging.getLogger(__name__)


def no_positives(num_instances: int, num_positives: int) -> Int64[Tensor, "n p"]:
    """The buffer for sets that are still to be mined: -1 everywhere."""
    most = num_instances - 2
    check("num_positives", num_positives, 1 <= num_positives <= most, f"1 to {most} ({num_instances} instances)")
    return torch.full((num_instances, num_positives), -1)


class PositiveMining:
    """Before epoch `warmup_epochs`, then every `refresh_every` epochs; with 0 only where there are no sets yet.

    `rule`: consensus, union, or the name or index of one view.
    """

    def __init__(
        self, views: Sequence[str], rule: Rule, refresh_every: int, warmup_epochs: int, index: IndexKind
    ) -> None:
        self.rule = list(views).index(str(rule)) if rule in views else rule
        check_rule(self.rule, len(views))
        check("refresh_every", refresh_every, refresh_every >= 0, "0 (never again) and more")
        check("warmup_epochs", warmup_epochs, warmup_epochs >= 0, "0 and more")
        self.refresh_every, self.warmup_epochs = refresh_every, warmup_epochs
        self.index: IndexKind = index

    def check_cold_start(self) -> None:
        """Raise UserError where positives are mined before anything is in the banks."""
        if self.warmup_epochs == 0:
            need = "init=RUN of AVID, or warmup_epochs above 0"
            raise UserError(f"warmup_epochs=0: random banks have no positives to mine; allowed: {need}")

    def due(self, epoch: int, positives: Int64[Tensor, "n p"]) -> bool:
        since = epoch - self.warmup_epochs
        refresh = self.refresh_every > 0 and since % self.refresh_every == 0
        return since >= 0 and (refresh or bool((positives < 0).any()))

    @torch.no_grad()
    def mine(self, positives: Int64[Tensor, "n p"], banks: nn.ModuleDict) -> None:
        """Refresh `positives` in place; each rank searches for its share of the rows."""
        vectors = [bank.vectors for bank in banks.values()]
        share = -(-len(positives) // distributed.world_size())
        rows = torch.arange(share, device=positives.device) + distributed.rank() * share
        mined = mine_positives(
            vectors,  # pyright: ignore[reportArgumentType]
            positives.shape[1],
            self.rule,
            index=self.index,
            queries=rows.clamp_max(len(positives) - 1),
            progress=distributed.is_main() and sys.stderr.isatty(),
        )
        positives.copy_(distributed.all_gather(mined.rows)[: len(positives)])
        log.info("mined %d positives for each of %d instances: %s", *positives.T.shape, mined.summary())
