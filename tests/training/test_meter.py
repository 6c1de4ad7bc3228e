from __future__ import annotations

import math

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


def fed(loss: float, **views: list) -> tuple[Batch, LossOutput]:
    """Rows 4, 5, 6 with inputs [3 2] and embeddings [3 1] of these values."""
    batch = Batch(
        torch.tensor([4, 5, 6]), {name: torch.tensor(x).float()[:, None].repeat(1, 2) for name, x in views.items()}
    )
    embeddings = {name: torch.nan_to_num(x[:, :1], 0, 0, 0) for name, x in batch.views.items()}
    return batch, LossOutput(torch.tensor(loss), {}, embeddings)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("loss", [1.0, float("nan")])
def test_input_that_is_not_finite_names_view_and_instance(bad: float, loss: float):
    meter = Meter([f"id{n}" for n in range(12)])
    meter.add(6, *fed(1.0, video=[0, 0, 0], audio=[1, 2, 3]))
    meter.add(7, *fed(loss, video=[0, 0, 0], audio=[1, bad, 3]))
    with pytest.raises(UserError, match=r"view audio has NaN or infinite input at step 7; instances id5$"):
        meter.read()


def test_an_embedding_that_is_not_finite_names_its_view():
    meter = Meter([f"id{n}" for n in range(12)])
    batch, output = fed(1.0, video=[0, 0, 0], audio=[1, 2, 3])
    output.embeddings["video"][1] = math.inf
    meter.add(3, batch, output)
    with pytest.raises(
        UserError, match=r"the embedding of view video is not finite at step 3; instances id4, id5, id6"
    ):
        meter.read()


def test_input_of_whole_numbers_is_finite():
    meter = Meter(["a", "b"])
    views = {"video": torch.full((2, 3), 255, dtype=torch.uint8)}
    meter.add(0, Batch(torch.tensor([0, 1]), views), LossOutput(torch.tensor(1.0), {}))
    assert meter.read()["loss"] == 1.0
