from __future__ import annotations

import pytest
import torch

from avssl.training.meter import Meter
from avssl.types import Batch, LossOutput, UserError


def step(meter: Meter, number: int, loss: float, rows: list[int]) -> None:
    meter.add(number, Batch(torch.tensor(rows), {}), LossOutput(torch.tensor(loss), {"term": torch.tensor(2 * loss)}))


def test_numbers_are_means_since_the_last_reading():
    meter = Meter(["a", "b", "c"])
    step(meter, 0, 1.0, [0, 1])
    step(meter, 1, 3.0, [1, 2])
    with meter.waiting():
        pass
    row = meter.read()
    assert (row["loss"], row["term"]) == (2.0, 4.0)
    assert row["clips_per_s"] > 0
    assert 0 <= row["waiting"] < 1
    step(meter, 2, 5.0, [0, 1])
    assert meter.read()["loss"] == 5.0


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_step_and_instances(loss: float):
    meter = Meter([f"id{n}" for n in range(12)])
    step(meter, 6, 1.0, [0])
    step(meter, 7, loss, [3, 1])
    step(meter, 8, 1.0, [0])
    with pytest.raises(UserError, match=rf"the loss is {loss} at step 7; instances id3, id1$"):
        meter.check_finite()
    with pytest.raises(UserError, match="at step 7"):
        meter.read()
