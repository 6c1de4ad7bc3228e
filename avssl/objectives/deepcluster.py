"""DeepCluster v2 and XDC: predict clusters of the last epoch's embeddings (arXiv 2006.09882, 1911.12667)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avssl import distributed
from avssl.functional.checks import check, check_choice
from avssl.functional.clustering import prototype_scores
from avssl.functional.seeding import seed_for
from avssl.neighbors.clustering import Clusters, spherical_kmeans
from avssl.objectives.alone import or_as_given
from avssl.objectives.base import Objective, detached, full_precision, mean_of, unit_embeddings
from avssl.state.memory_bank import MemoryBank
from avssl.types import Batch, LossOutput, branch_of


class DeepCluster(Objective):
    """Every view predicts its instance's cluster of a branch, in several clusterings; mean of views, branches, heads.

    Each branch keeps an instance's latest embedding, the mean of its global views'. Before each epoch it is clustered
    by spherical k-means once for each entry of `num_prototypes`, and the centroids are the classifier's weights:
    constant, and scored by their cosine with the view's embedding. `targets`: `own` clusters of the view's branch
    (DeepCluster v2) or `other`, those of every other branch (XDC). XDC's paper learns a classifier for each branch;
    with the other branch's centroids in its place the branches come to share one space and can be searched across.

    The first epoch only fills the banks and encoders rest, so that the first clusters are, as published, those of the
    features that training starts from; random rows would be random targets. An instance without an embedding yet has
    no target, and while fewer than the largest of `num_prototypes` have one, encoders go on resting.

    `global_views`: the views that fill the banks, at least one for each branch; None for all. `num_prototypes`: None
    is three times 3,000 as published, or `num_instances` where there are fewer. `branches`: None where the views of a
    batch are embeddings already.
    UserError: settings that do not fit; (when called) tensors in place of a `Batch`.

    >>> import torch
    >>> from avssl.objectives import DeepCluster
    >>> from avssl.types import Batch
    >>> _ = torch.manual_seed(0)
    >>> objective = DeepCluster(None, ["image/a", "image/b"], dim=16, num_instances=8, num_prototypes=[2, 3])
    >>> batch = Batch(torch.arange(8), {view: torch.randn(8, 16) for view in objective.views})
    >>> for epoch in range(2):  # the first epoch fills the bank
    ...     objective.before_epoch(epoch)
    ...     print(f"{objective(batch).loss:.2f}")
    0.00
    0.10
    """

    keeps_instances = True

    def __init__(
        self,
        branches: nn.Module | None,
        views: Sequence[str],
        dim: int,
        num_instances: int,
        *,
        num_prototypes: int | Sequence[int] | None = None,
        targets: str = "own",
        global_views: Sequence[str] | None = None,
        temperature: float | int = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if num_prototypes is None:
            num_prototypes = 3 * [min(3000, num_instances)]
        sizes = [num_prototypes] if isinstance(num_prototypes, int) else list(num_prototypes)
        fits = len(sizes) > 0 and all(2 <= size <= num_instances for size in sizes)
        check("num_prototypes", sizes, fits, f"one and more numbers from 2 to {num_instances}, the number of instances")
        check_choice("targets", targets, ("own", "other"))
        check("temperature", temperature, temperature > 0, "above 0")
        self.views, self.global_views = list(views), list(views if global_views is None else global_views)
        names = list(dict.fromkeys(branch_of(view) for view in self.views))
        check("views", self.views, targets == "own" or len(names) > 1, "views of two and more branches")
        each = set(self.global_views) <= set(views) and {branch_of(view) for view in self.global_views} == set(names)
        check("global_views", self.global_views, each, f"some of {', '.join(views)}, one and more of each branch")
        self.branches, self.dim = or_as_given(branches), dim
        self.targets, self.temperature, self.seed = targets, temperature, seed
        self.clusterings = nn.ModuleDict({name: Clustering(num_instances, dim, sizes) for name in names})
        self.resting = True

    def forward(self, batch: Batch) -> LossOutput:
        z = unit_embeddings(self.branches, batch, self.views, self.dim)
        with full_precision(batch):
            terms = {
                f"{view}>{name}": self.clusterings[name](z[view], batch.index, self.temperature)
                for view in z
                for name in self.clusterings
                if (name == branch_of(view)) == (self.targets == "own")
            }
            if self.training:
                for name, clustering in self.clusterings.items():
                    assert isinstance(clustering, Clustering)
                    seen = [z[view].detach() for view in self.global_views if branch_of(view) == name]
                    clustering.remember(batch.index, torch.stack(seen).mean(0))
        return LossOutput(mean_of(terms), detached(terms), detached(z))

    def before_epoch(self, epoch: int) -> None:
        for name, clustering in self.clusterings.items():
            assert isinstance(clustering, Clustering)
            if int(clustering.filled.sum()) >= max(clustering.sizes):
                clustering.refresh(self.seed, epoch, name)
                self.resting = False

    def before_step(self, progress: float | int) -> None:
        if self.resting:  # a zero gradient would still decay weights and move an optimiser's statistics
            for p in self.parameters():
                p.grad = None

    def get_extra_state(self) -> bool:
        return self.resting

    def set_extra_state(self, state: bool) -> None:
        self.resting = state


class Clustering(nn.Module):
    """A branch's bank of embeddings and, in each of several heads, its clusters as of the latest `refresh`."""

    filled: Tensor
    """[num_instances] whether an instance's row of the bank is its own, not random."""
    assignments: Tensor
    """[heads, num_instances] -1 for an instance without a cluster."""
    centroids: Tensor
    """[sum of sizes, dim] of one head after the other."""

    def __init__(self, num_instances: int, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.bank = MemoryBank(num_instances, dim, momentum=0.0)
        self.register_buffer("filled", torch.zeros(num_instances, dtype=torch.bool))
        self.register_buffer("assignments", torch.full((len(sizes), num_instances), -1))
        self.register_buffer("centroids", torch.zeros(sum(sizes), dim))

    def forward(self, z: Tensor, index: Tensor, temperature: float | int) -> Tensor:
        """Cross-entropy of the clusters of the instances `index`, mean over heads and unit vectors `z` [b d].

        What has no cluster counts as 0, so that the mean over ranks is that over the global batch.
        """
        scores = (prototype_scores(z, self.centroids) / temperature).split(self.sizes, dim=1)
        rows = [
            F.cross_entropy(score, own, ignore_index=-1, reduction="none")
            for score, own in zip(scores, self.assignments[:, index], strict=True)
        ]
        return torch.stack(rows).mean()

    @torch.no_grad()
    def remember(self, index: Tensor, z: Tensor) -> None:
        """Keep `z` [b d], scaled to unit length, as the embeddings of the instances `index` [b], on every rank."""
        self.bank.update(index, z)
        self.filled[distributed.all_gather(index)] = True

    @torch.no_grad()
    def refresh(self, *seed: int | str) -> None:
        """Cluster the filled rows anew: on the main rank, for all."""
        rows = self.bank.vectors[self.filled]
        found: list[Clusters] = []
        if distributed.is_main():
            found = [spherical_kmeans(rows, k, seed_for(*seed, head)) for head, k in enumerate(self.sizes)]
        found = distributed.broadcast_object(found)
        self.centroids.copy_(torch.cat([clusters.centroids for clusters in found]))
        self.assignments.fill_(-1)
        self.assignments[:, self.filled] = torch.stack([c.assignments for c in found]).to(self.assignments.device)
