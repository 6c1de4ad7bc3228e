"""A model of two small branches, whose embeddings differ from clip to clip."""

from __future__ import annotations

import torch

from avssl.data.clip_files import VideoFolder
from avssl.data.clips import AudioView, VideoView
from avssl.data.transforms.audio import LogSpectrogram
from avssl.evaluation.model import Model
from avssl.models.audio_conv import Conv2D10
from avssl.models.branches import Branch, Branches
from avssl.models.heads import MLP
from avssl.models.r2plus1d import R2Plus1D

SPECTROGRAM = LogSpectrogram(8000, n_fft=256, hop=80, bands=65, mean=[-40.0] * 65, std=[20.0] * 65)


def to_float(frames: torch.Tensor) -> torch.Tensor:
    return frames[..., :24, :24].float().permute(1, 0, 2, 3) / 255


VIEWS = {
    "video": VideoView(frames=4, fps=8, short_side=24, train=to_float, eval=to_float),
    "audio": AudioView(duration_s=0.8, rate_hz=8000, train=SPECTROGRAM, eval=SPECTROGRAM),
}


def tiny_model() -> Model:
    torch.manual_seed(0)
    video = Branch(R2Plus1D(depth=10, width=4), MLP([32, 6]))
    branches = Branches({"video": video, "audio": Branch(Conv2D10(width=4), MLP([32, 6]))})
    for module in branches.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the statistics become those of the one batch
    branches.train()
    loud = torch.rand(16, 1, 1, 1)
    views = {"video": loud[..., None] * torch.rand(16, 3, 4, 24, 24), "audio": loud + torch.randn(16, 1, 65, 80)}
    with torch.no_grad():
        for head, x in ((branches[name].head, x) for name, x in branches.features(views).items()):
            head[-1].bias.copy_(-head[-1].weight @ x.mean(0))  # centred, so that directions differ
    return Model(branches.eval(), VideoFolder(None, VIEWS))
