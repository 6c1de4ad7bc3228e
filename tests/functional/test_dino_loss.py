import math

import pytest
import torch

from avssl.functional.distillation import dino


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def softmax(scores: list[float]) -> list[float]:
    exps = [math.exp(s) for s in scores]
    return [e / sum(exps) for e in exps]


def test_dino_is_the_mean_cross_entropy_under_the_centred_and_sharpened_teacher():
    student, teacher, center = logits(3, 5), logits(3, 5).flip(0), logits(5)
    expected = 0.0
    for i in range(3):
        target = softmax([float(teacher[i, c] - center[c]) / 0.4 for c in range(5)])
        guess = softmax([float(student[i, c]) / 0.7 for c in range(5)])
        expected -= sum(target[c] * math.log(guess[c]) for c in range(5)) / 3
    assert dino(student, teacher, center, 0.7, 0.4).item() == pytest.approx(expected, abs=1e-12)


def test_dino_is_the_teachers_entropy_where_the_student_agrees():
    teacher, center = logits(4, 6), logits(6)
    p = ((teacher - center) / 0.5).softmax(1)
    entropy = -(p * p.log()).sum(1).mean()
    torch.testing.assert_close(dino((teacher - center) * 2, teacher, center, 1.0, 0.5), entropy)


def test_dino_sends_no_gradient_to_the_teacher():
    student, teacher = logits(3, 5).requires_grad_(), logits(3, 5).requires_grad_()
    dino(student, teacher, torch.zeros(5, dtype=torch.float64), 0.1, 0.04).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().sum() > 0


def test_dino_stays_finite_at_logits_that_overflow_exp():
    student = torch.tensor([[800.0, -800.0], [-800.0, 800.0]]).requires_grad_()
    loss = dino(student, student.detach().flip(1), torch.zeros(2), 0.1, 0.04)
    loss.backward()
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
