"""An objective of your own: one class in one file. It sees views by name, so it works on cameras as well.

python my_objective.py ~/videos
avssl-train ~/videos objective=my_objective.MyLoss out=runs/my_loss     # the same from the command line
avssl-embed runs/my_loss ~/videos out=emb                               # encoders are data, the loss is not needed
"""

import sys
from itertools import permutations

import torch

import avssl
from avssl.objectives import Objective, unit_embeddings


class MyLoss(Objective):
    """Matching embeddings agree, and each dimension stays in use."""

    def __init__(self, branches: torch.nn.Module, views: list[str], weight: float = 1.0) -> None:
        super().__init__()
        self.branches, self.views, self.weight = branches, views, weight

    def forward(self, batch: avssl.Batch) -> avssl.LossOutput:
        z = unit_embeddings(self.branches, batch, self.views)  # {view: [instances dim]}
        disagreement = torch.stack([(z[a] - z[b]).pow(2).sum(1).mean() for a, b in permutations(z, 2)]).mean()
        spread = torch.stack([x.std(0).mean() * x.shape[1] ** 0.5 for x in z.values()]).mean()
        terms = {"disagreement": disagreement.detach(), "spread": spread.detach()}  # columns of metrics.csv
        return avssl.LossOutput(disagreement - self.weight * spread, terms, z)  # z is watched for collapse


def main() -> None:
    folder, *settings = sys.argv[1:]  # settings: as data.size=64 trainer.epochs=5
    run = avssl.train(folder, objective="my_objective.MyLoss", out="runs/my_loss", overrides=settings)
    print({name: round(run.metrics[-1][name], 2) for name in ("loss", "disagreement", "spread")})
    print(avssl.load(run))


if __name__ == "__main__":
    main()
