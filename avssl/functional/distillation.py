"""Losses of a student against targets that get no gradient."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avssl.functional.shapes import check_positive, check_rows


def negative_cosine(p: Float[Tensor, "n d"], z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """-mean cos(p_i, z_i) (SimSiam, arXiv 2011.10566, eq. 1). Detach what is a target: both sides get a gradient.

    UserError: tensors that are not alike.

    >>> import torch
    >>> from avssl.functional import negative_cosine
    >>> z1, z2 = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    >>> print(f"{negative_cosine(z1, z2.detach()):.3f} {negative_cosine(z1, 3 * z1):.3f}")
    -0.102 -1.000
    """
    check_rows(p=p, z=z)
    return -F.cosine_similarity(p, z, dim=1).mean()


def dino(
    student: Float[Tensor, "b c"],
    teacher: Float[Tensor, "b c"],
    center: Float[Tensor, " c"],
    student_temperature: float | int,
    teacher_temperature: float | int,
) -> Float[Tensor, ""]:
    """Cross-entropy of the student's classes under the teacher's centred and sharpened ones (arXiv 2104.14294, eq. 1).

    Logits in, nats out: mean_i -sum_c P_t log P_s with P_t = softmax((t - center) / T_t) and P_s = softmax(s / T_s).
    The teacher gets no gradient.
    UserError: logits that are not alike, a temperature of 0 or less.

    >>> import torch
    >>> from avssl.functional import dino
    >>> student, teacher = torch.randn(2, 8, 32, generator=torch.Generator().manual_seed(0))
    >>> loss = dino(student, teacher, torch.zeros(32), student_temperature=0.1, teacher_temperature=0.04)
    >>> print(f"{loss:.2f}")
    22.62
    """
    check_rows(student=student, teacher=teacher)
    check_positive(student_temperature=student_temperature, teacher_temperature=teacher_temperature)
    target = ((teacher.detach() - center) / teacher_temperature).softmax(1)
    return -(target * (student / student_temperature).log_softmax(1)).sum(1).mean()
