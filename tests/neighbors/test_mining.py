from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from avssl.neighbors import InnerProductIndex, mine_positives, mining


def banks(kind: str, n: int = 300, d: int = 8, views: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(n + d)
    made = []
    for _ in range(views):
        noise = torch.randn(n, d, generator=generator)
        centres = torch.randn(12, d, generator=generator)[torch.arange(n) % 12]
        made.append({"random": noise, "clustered": centres + 0.2 * noise, "duplicates": centres}[kind])
    return [F.normalize(bank, dim=1) for bank in made]


def brute_force(views: list[torch.Tensor], k: int, rule: str | int) -> list[list[int]]:
    similarity = [(bank.double() @ bank.double().T).tolist() for bank in views]
    join = {"consensus": min, "union": max}.get(rule, lambda scores: scores[rule])
    positives = []
    for i in range(len(views[0])):
        # Rounded, so that equal rows tie whatever the order in which a matrix product adds.
        score = {j: round(join([s[i][j] for s in similarity]), 12) for j in range(len(views[0])) if j != i}
        positives.append(sorted(score, key=lambda j: (-score[j], j))[:k])
    return positives


@pytest.mark.parametrize("rule", ["consensus", "union", 0, 1])
@pytest.mark.parametrize("kind", ["random", "clustered", "duplicates"])
def test_equals_brute_force(kind: str, rule: str | int):
    views = banks(kind)
    mined = mine_positives(views, 7, rule)
    assert mined.rows.tolist() == brute_force(views, 7, rule)
    assert mined.certified.all()


def test_any_number_of_views_and_the_largest_k():
    views = banks("clustered", n=40, views=3)
    assert mine_positives(views, 39).rows.tolist() == brute_force(views, 39, "consensus")
    assert mine_positives(views[:1], 3).rows.tolist() == brute_force(views[:1], 3, 0)


def test_equals_recorded_positives(golden: Path):
    recorded = np.load(golden / "cma_positives.npz")
    views = [torch.from_numpy(recorded[f"bank_{name}"]) for name in ("video", "audio")]
    k = int(recorded["k"])
    for rule, name in (("consensus", "consensus"), (0, "video")):
        assert mine_positives(views, k, rule).rows.sort(1).values.tolist() == recorded[name].tolist()


def test_small_blocks_and_a_subset_of_queries_change_nothing(monkeypatch):
    views = banks("clustered")
    whole = mine_positives(views, 5).rows
    monkeypatch.setattr(mining, "BLOCK_BYTES", 50_000)
    rows = torch.tensor([7, 3, 299])
    assert mine_positives(views, 5).rows.equal(whole)
    assert mine_positives(views, 5, queries=rows).rows.equal(whole[rows])


def test_the_order_of_views_does_not_matter():
    views = banks("random")
    assert mine_positives(views, 6).rows.equal(mine_positives(views[::-1], 6).rows)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_index_measures_its_recall_and_certifies_nothing(kind: str):
    views = banks("clustered", n=2000, d=16)
    mined = mine_positives(views, 5, index=kind)
    assert not mined.certified.any()
    exact = torch.tensor(brute_force(views, 5, "consensus"))
    recall = (mined.rows[:, :, None] == exact[:, None]).any(2).double().mean().item()
    assert mined.recall == pytest.approx(recall, abs=0.05)
    assert recall > 0.6
    assert (mined.rows != torch.arange(2000)[:, None]).all()


@pytest.mark.parametrize("k", [0, 300])
def test_k_must_leave_room_for_others(k: int):
    with pytest.raises(ValueError, match=r"k=.*allowed: 1 to 299"):
        mine_positives(banks("random"), k)


def test_rules_are_named_when_unknown():
    with pytest.raises(ValueError, match="rule='both'; allowed: consensus, union, or a view from 0 to 1"):
        mine_positives(banks("random"), 3, "both")


def test_search_returns_the_best_rows_first():
    vectors = F.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    scores, rows = InnerProductIndex(vectors).search(vectors[:4], 3)
    expected, order = (vectors[:4] @ vectors.T).topk(3)
    assert rows.equal(order)
    assert torch.allclose(scores, expected, atol=1e-6)
