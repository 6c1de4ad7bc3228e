from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from avssl.training.collapse import judge, review
from avssl.training.curves import MEANINGS, plots_of
from avssl.training.diagnostics import diagnose, pairs_of
from avssl.training.monitor import Monitor
from avssl.training.plan import Plan


def vectors(seed: int, n: int, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def entropy_of(matrix: torch.Tensor) -> float:
    return -sum(float(s) * math.log(float(s)) for s in torch.linalg.svdvals(matrix.double()) if s > 1e-12)


def test_numbers_are_their_definitions():
    n, d = 6, 4
    a, b = F.normalize(vectors(0, n, d), dim=1), F.normalize(vectors(1, n, d), dim=1)
    found = {key.removeprefix("diagnostics/"): x for key, x in diagnose({"v": 3 * a, "a": b}, ["v", "a"]).items()}
    k1, k2 = a @ a.T, b @ b.T
    h1, h2, joint = entropy_of(k1 / n), entropy_of(k2 / n), entropy_of(k1 * k2 / n)
    losses = [-torch.log_softmax(q @ k.T / 0.1, 1).diagonal().mean().item() for q, k in ((a, b), (b, a))]
    between = {
        "joint_entropy": joint,
        "mutual_information": h1 + h2 - joint,
        "alignment": sum(math.dist(x, y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True)) / n,
        "gap": math.dist(a.mean(0).tolist(), b.mean(0).tolist()),
        "infonce_bound": math.log(n) - sum(losses) / 2,
        "er_bound": (found["entropy/v"] + found["entropy/a"]) / 2 + found["reconstruction/v~a"],
    }
    for name, value in between.items():
        assert found[f"{name}/v~a"] == pytest.approx(value, abs=1e-5), name
    assert found["matrix_entropy/v"] == pytest.approx(h1, abs=1e-5)
    assert found["effective_rank/a"] == pytest.approx(math.exp(h2), abs=1e-4)
    assert found["full_rank/v"] == d
    deviations = [(sum(x * x for x in column) / n - (sum(column) / n) ** 2) ** 0.5 for column in a.T.tolist()]
    assert found["deviation/v"] == pytest.approx(sum(deviations) / d * math.sqrt(d), abs=1e-6)


def test_the_er_bound_is_that_of_the_objective():
    from avssl.objectives.er import ER
    from avssl.types import Batch

    class Identities(torch.nn.Module):
        def forward(self, views):
            return dict(views)

    views = {"v": vectors(2, 8), "a": vectors(3, 8)}
    terms = ER(Identities(), ["v", "a"], 5, kappa=10.0, leave_one_out=True)(Batch(torch.arange(8), views)).terms
    found = diagnose(views, ["v", "a"])
    assert found["diagnostics/er_bound/v~a"] == pytest.approx(terms["bound"].item(), abs=1e-5)
    assert found["diagnostics/entropy/v"] == pytest.approx(terms["entropy/v"].item(), abs=1e-5)


def test_pairs_grow_with_the_views_alone():
    assert pairs_of("ab") == [("a", "b")]
    assert len(pairs_of("abcd")) == 6
    assert pairs_of("abcde") == [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "a")]
    assert pairs_of("a") == []


def test_the_latest_rows_are_kept_each_instance_once():
    monitor, embeddings = Monitor(rows=5), [vectors(seed, 3) for seed in range(4)]
    for index, z in zip(([0, 1, 2], [9, 8, 7], [3, 4, 5], [4, 6, 0]), embeddings, strict=True):
        monitor.add(torch.tensor(index), {"v": z, "a": -z})
    # The last two steps have five rows and more; instance 4 counts as it was last.
    latest = torch.cat([embeddings[3], embeddings[2]])[[0, 1, 2, 3]]
    expected = diagnose({"v": latest, "a": -latest}, ["v", "a"])
    found = monitor.measure()
    assert found == pytest.approx(expected, abs=1e-5)
    assert found["diagnostics/alignment/v~a"] == pytest.approx(4, abs=1e-5)


def test_views_that_do_not_match_row_by_row_are_measured_alone():
    monitor = Monitor()
    monitor.add(torch.arange(4), {"v": vectors(0, 4), "crops": vectors(1, 8), "wide": vectors(2, 4, 7)})
    found = monitor.measure()
    assert found["diagnostics/full_rank/crops"] == 5
    assert found["diagnostics/full_rank/wide"] == 4
    assert not any("~" in name for name in found)
    monitor.add(torch.arange(4, 8), {"v": vectors(3, 4), "sometimes": vectors(1, 4)})
    assert not any("~" in name for name in monitor.measure())


def test_nothing_is_said_where_there_is_nothing():
    monitor = Monitor()
    assert monitor.measure() == {}
    monitor.add(torch.arange(2), {})
    assert monitor.measure() == {}
    monitor.add(torch.arange(1), {"v": vectors(0, 1)})
    assert monitor.measure() == {}


def test_diagnostics_wait_for_a_log_step_and_come_at_the_end():
    plan = Plan(epochs=2, steps_per_epoch=37, log_every=10, save_every=1, clip_gradients=None, seed=0, monitor_every=25)
    assert [step for step in range(1, 75) if plan.diagnoses(step)] == [30, 50, 74]
    assert [step for step in range(1, 75) if plan.logs(step)] == [10, 20, 30, 40, 50, 60, 70, 74]
    never = Plan(epochs=2, steps_per_epoch=37, log_every=10, save_every=1, clip_gradients=None, seed=0)
    assert not any(never.diagnoses(step) for step in range(1, 75))


def row(step: int, **views: torch.Tensor) -> dict[str, float]:
    return {"step": float(step), "loss": 3.0, **diagnose(views, list(views))}


SPREAD, POINT = vectors(0, 64, 16), vectors(1, 1, 16) + 0.01 * vectors(2, 64, 16)


def test_collapse_is_said_in_plain_words_and_health_is_not():
    found = judge(row(100, video=SPREAD, audio=POINT), steps=1000)
    assert found["collapse/video"] is None
    assert "audio: effective rank 1.0 of 16, deviation 0.0" in found["collapse/audio"]
    assert "the embeddings have collapsed; train longer, or try" in found["collapse/audio"]


def test_few_directions_are_a_collapse_too():
    line = vectors(3, 64, 1) @ vectors(4, 1, 16)
    line = line + 0.1 * vectors(5, 64, 16)
    assert "have collapsed" in judge(row(100, video=line), steps=100)["collapse/video"]


def test_centres_apart_are_named():
    shift = 3 * F.normalize(vectors(3, 1, 16), dim=1) * math.sqrt(16)
    found = judge(row(100, video=SPREAD + shift, audio=SPREAD - shift), steps=100)
    assert "video and audio: their centres are 1." in found["gap/video~audio"]
    assert judge(row(100, video=SPREAD, audio=-SPREAD), steps=100)["gap/video~audio"] is None


@pytest.mark.parametrize(("loss", "said"), [(5.50, True), (5.59, True), (5.45, False)])
def test_a_loss_at_chance_is_named(loss: float, said: bool):
    text = judge({"step": 100.0, "loss": loss, "chance": math.log(256)}, steps=100)["chance/"]
    assert (text is not None) == said
    assert not said or f"the loss {loss:.3f} is at chance, ln 256 = 5.545" in text


@pytest.mark.parametrize(("step", "steps"), [(99, 100), (100, 1001)])
def test_an_untrained_encoder_is_left_in_peace(step: int, steps: int):
    assert judge(row(step, video=POINT), steps) == {}


def test_a_review_tells_what_holds_from_what_has_passed():
    rows = [
        row(100, video=POINT, audio=POINT),
        {"step": 110.0, "loss": 1.0},
        row(150, video=POINT, audio=SPREAD),
        {"step": 160.0, "loss": 1.0},
    ]
    standing, passed = review(rows, steps=160)
    assert [text.partition(",")[0] for text in standing if "effective rank" in text] == [
        "video: effective rank 1.0 of 16"
    ]
    assert [text.partition(",")[0] for text in passed] == ["step 100: audio: effective rank 1.0 of 16"]


def test_every_diagnostic_has_a_plot_and_a_meaning():
    columns = ["step", "epoch", "loss", "chance", "lr", "v>a", "a>v", "entropy/v", *row(1, v=SPREAD, a=SPREAD)]
    sections = plots_of(list(dict.fromkeys(columns)))
    titles = {section: [plot.title for plot in plots] for section, plots in sections.items()}
    assert titles["Training"] == ["loss", "terms", "entropy"]
    assert titles["Diagnostics of the embeddings"] == [title for title, _ in MEANINGS.values()]
    assert list(sections["Training"][0].columns) == ["loss", "chance"]
    drawn = [column for plots in sections.values() for plot in plots for column in plot.columns]
    assert sorted(drawn) == sorted(set(columns) - {"step", "epoch"})
