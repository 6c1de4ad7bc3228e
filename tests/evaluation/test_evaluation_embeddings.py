from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import torch

from avssl.evaluation.embeddings import Embeddings, table_of
from avssl.types import UserError


def make(ids: str, **vectors: torch.Tensor) -> Embeddings:
    return Embeddings(
        table_of(list(ids), [f"{i}.mp4" for i in ids], [""] * len(ids), [0.5 * n for n in range(len(ids))], vectors)
    )


def test_a_table_comes_back_from_disk_bit_for_bit(tmp_path):
    x = torch.randn(5, 3)
    made = make("abcde", audio=x, **{"audio.feature": torch.randn(5, 7)})
    pq.write_table(made.table, tmp_path / "embeddings.parquet")
    (tmp_path / "card.json").write_text(json.dumps({"done": 5}))
    read = Embeddings.read(tmp_path)
    assert torch.equal(read.vectors("audio"), x)
    assert read.vectors("audio.feature").shape == (5, 7)
    assert (read.ids, read.start_s, read.views, read.card) == (
        list("abcde"),
        [0, 0.5, 1, 1.5, 2],
        ["audio"],
        {"done": 5},
    )
    assert read.hash == made.hash


def test_a_sliced_table_gives_its_own_rows():
    x = torch.randn(6, 2)
    whole = make("abcdef", audio=x)
    assert torch.equal(Embeddings(whole.table.slice(2, 3)).vectors("audio"), x[2:5])


def test_one_row_per_file_is_the_mean_of_unit_vectors():
    x = torch.tensor([[2.0, 0.0], [0.0, 5.0], [0.0, 0.1], [3.0, 4.0]])
    merged = make("abac", audio=x).per_instance()
    assert merged.ids == ["a", "b", "c"]
    torch.testing.assert_close(merged.vectors("audio"), torch.tensor([[0.5, 0.5], [0.0, 1.0], [0.6, 0.8]]))


def test_the_hash_ignores_order_and_sees_every_clip():
    some = make("abc", audio=torch.randn(3, 2))
    assert Embeddings(some.table.take([2, 0, 1])).hash == some.hash
    assert Embeddings(some.table.slice(0, 2)).hash != some.hash


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="view=sound: no such column of embeddings; allowed: audio, video"):
        make("a", audio=torch.ones(1, 2), video=torch.ones(1, 2)).vectors("sound")
    with pytest.raises(UserError, match="no finished embeddings"):
        Embeddings.read(tmp_path)
