"""Losses of a student against targets that get no gradient."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def negative_cosine(p: Float[Tensor, "n d"], z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """-mean cos(p_i, z_i) (SimSiam, arXiv 2011.10566, eq. 1). Detach what is a target: both sides get a gradient."""
    return -F.cosine_similarity(p, z, dim=1).mean()


def dino(
    student: Float[Tensor, "b c"],
    teacher: Float[Tensor, "b c"],
    center: Float[Tensor, " c"],
    student_temperature: float,
    teacher_temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of the student's classes under the teacher's centred and sharpened ones (arXiv 2104.14294, eq. 1).

    Logits in, nats out: mean_i -sum_c P_t log P_s with P_t = softmax((t - center) / T_t) and P_s = softmax(s / T_s).
    The teacher gets no gradient.
    """
    target = ((teacher.detach() - center) / teacher_temperature).softmax(1)
    return -(target * (student / student_temperature).log_softmax(1)).sum(1).mean()
