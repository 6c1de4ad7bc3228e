import torch

from avssl.functional.sampling import rows_excluding
from avssl.functional.seeding import seed_for


def test_every_allowed_row_is_equally_likely_and_no_other_is_drawn():
    excluded = torch.tensor([[4, 0, 5], [-1, 9, -1], [-1, -1, -1]])
    uniform = torch.linspace(0, 1, 1261, dtype=torch.float64)[:-1].expand(3, -1)  # 1260 = multiple of 7, 9 and 10
    rows = rows_excluding(uniform, excluded, 10)
    for row, allowed in zip(rows, ({1, 2, 3, 6, 7, 8, 9}, set(range(9)), set(range(10))), strict=True):
        counts = torch.bincount(row, minlength=10)
        assert set(row.tolist()) == allowed
        assert counts[sorted(allowed)].float().std() < 1


def test_seeds_depend_on_every_part_and_on_nothing_else():
    assert seed_for(1, "a", 2) == 7966048045017696035  # on any machine, in any process
    assert len({seed_for(0, 1), seed_for(1, 0), seed_for("0", 1), seed_for(0, 1, 0), seed_for()}) == 5
