"""What a manifest's columns ask of the order, and how wrong ones are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from stream_data import manifest_of

from avssl.data.manifest import Manifest
from avssl.data.shots import Shots
from avssl.data.source import in_split
from avssl.data.stream.columns import order_of, too_heavy, weights_of
from avssl.data.stream.orders import ByShard, Shuffled, Weighted
from avssl.types import UserError

COLUMNS: dict[str, Any] = {
    "label": ["a", "a", "a", "b", "b", "c"],
    "weight": [1, 2, 1, 0, 4, 0.5],
    "holes": [1, None, 1, 1, 1, 1],
    "words": ["x", "y", "z", "x", "y", ""],
    "minus": [1, 1, -0.5, 1, 1, 1],
    "zeros": [0, 0, 0, 0, 0, 0],
    "nan": [1, 1, 1, 1, 1, float("nan")],
    "one": [0, 0, 0, 0, 1, 0],
    "shard": ["s0", "s0", "s1", "s1", "s2", "s2"],
    "split": ["train", "train", "test", "", None, "train"],
}


@pytest.fixture
def files(tmp_path: Path) -> Manifest:
    return manifest_of(tmp_path, 6, **COLUMNS)


def test_weights_follow_the_columns(files: Manifest) -> None:
    assert weights_of(files, None, "weight").tolist() == [1, 2, 1, 0, 4, 0.5]
    texts = files.table.append_column("text", pa.array([str(w) for w in files.column("weight")]))  # of a listing
    assert weights_of(replace(files, table=texts), None, "text").tolist() == [1, 2, 1, 0, 4, 0.5]
    assert weights_of(files, "label", None).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2, 1])
    assert weights_of(files, "label", "weight").tolist() == pytest.approx([1 / 4, 1 / 2, 1 / 4, 0, 1, 1])
    assert too_heavy(torch.tensor([4.0, 1, 1, 2], dtype=torch.float64), 2) == 0
    assert too_heavy(torch.tensor([4.0, 1, 1, 1], dtype=torch.float64), 2) == 1


def test_the_keys_choose_the_order(files: Manifest) -> None:
    assert isinstance(order_of(files, 2), Shuffled)
    assert isinstance(order_of(files, 2, balance="label"), Weighted)
    assert isinstance(order_of(files, 2, shuffle="shards", shuffle_buffer=1), ByShard)
    shards = [COLUMNS["shard"][row] for row in order_of(files, 2, shuffle="shards", shuffle_buffer=1)(0)]
    assert shards[::2] == shards[1::2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"balance": "kind"}, "balance=kind: the manifest has no column kind; it has id, path"),
        ({"balance": "holes"}, "balance=holes: rows without a value in the column holes; allowed"),
        ({"balance": "words"}, "balance=words: rows without a value; allowed"),
        ({"balance": "label", "weights": "one"}, "balance=label: all weights of 'a' are 0; allowed"),
        ({"weights": "gone"}, "weights=gone: the manifest has no column gone"),
        ({"weights": "words"}, "weights=words: holds 'x'; allowed: numbers of 0 and more"),
        ({"weights": "minus"}, "weights=minus: holds -0.5; allowed: numbers of 0 and more"),
        ({"weights": "nan"}, "weights=nan: holds nan; allowed: numbers of 0 and more"),
        ({"weights": "zeros"}, "weights=zeros: all are 0; allowed"),
        ({"weights": "one"}, "batch_size=2; allowed: up to 1, the instances of a weight above 0"),
        ({"shuffle": "some"}, "shuffle='some'; allowed: full, shards"),
        ({"shuffle": "shards", "balance": "label"}, "shuffle='shards'; allowed: full, with balance"),
        ({"shuffle": "shards", "shuffle_buffer": 0}, "shuffle_buffer=0; allowed: 1 and more"),
    ],
)
def test_wrong_columns_are_refused_in_one_line(files: Manifest, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        order_of(files, 2, **keys)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_shards_need_their_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"shuffle=shards: the manifest has no column shard; it has id"):
        order_of(manifest_of(tmp_path, 3), 2, shuffle="shards")


def test_cameras_have_no_columns(tmp_path: Path) -> None:
    rows = [{"instance": "i", "camera": c, "path": f"{c}.png", "label": "a"} for c in ("cam0", "cam1")]
    shots = Shots.of(tmp_path, rows)
    with pytest.raises(UserError, match=r"balance=label: instances of several files have no column"):
        order_of(shots, 1, balance="label")
    with pytest.raises(UserError, match=r"split=train: pictures and cameras have no column split"):
        in_split(shots, "train")
    assert in_split(shots, None) is shots
    pictures = [{"instance": f"{n}", "camera": "", "path": f"{n}.png", "label": "ab"[n % 2]} for n in range(4)]
    assert isinstance(order_of(Shots.of(tmp_path, pictures), 2, balance="label"), Weighted)


def test_a_split_is_the_rows_that_say_so(files: Manifest, tmp_path: Path) -> None:
    assert in_split(files, None) is files
    assert in_split(files, "train").ids == ["id00000", "id00001", "id00005"]
    with pytest.raises(UserError, match=r"split='val'; allowed: of this manifest test, train$"):
        in_split(files, "val")
    with pytest.raises(UserError, match=r"split='train'; allowed: of this manifest null, for it names no splits"):
        in_split(manifest_of(tmp_path, 3), "train")
