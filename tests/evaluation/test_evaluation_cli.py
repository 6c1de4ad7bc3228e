"""avssl-eval as a user calls it; all calls in one process of their own, for importing takes longer than they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
import torch

from avssl.data.scan import scan
from avssl.evaluation.embeddings import table_of

CALLS = {
    "retrieval": ["gallery=true", "gallery_queries=1"],
    "folds": ["task=probe", "view=audio", "folds=3", "test=null"],
    "few": ["task=probe", "per_class=2", "seeds=2"],
}
MISTAKES = {
    "task=retrival; allowed: retrieval, probe": ["task=retrival"],
    "nowhere: no finished embeddings": ["embeddings=nowhere"],
    "view=sound: no such column of embeddings; allowed: audio, video": ["task=probe", "view=sound"],
    "folds=9: allowed: 2 to 3": ["task=probe", "folds=9", "test=null"],
    "galery: no such key, did you mean gallery?": ["galery=true"],
}
SCRIPT = """
import contextlib, io, json, sys
from avssl.cli.eval import main
done = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["avssl-eval", *arguments]
    status = 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    done.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def folders(tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Embeddings of three files of each of the eight kinds, in two folders."""
    manifest, parent = scan(tiny_videos), tmp_path_factory.mktemp("embeddings")
    kinds = sorted(set(manifest.labels))
    x = torch.eye(8)[[kinds.index(label) for label in manifest.labels]]
    x = x + 0.02 * torch.randn(len(x), 8, generator=torch.Generator().manual_seed(0))
    table = table_of(manifest.ids, manifest.paths, manifest.labels, [0.2] * len(x), {"audio": x, "video": x})
    card = {
        "root": str(tiny_videos),
        "expected": 24,
        "done": 24,
        "missing": [],
        "views": {"video": {"duration_s": 0.5}},
    }
    made = {name: parent / name for name in ("train", "test")}
    for folder in made.values():
        folder.mkdir()
        pq.write_table(table, folder / "embeddings.parquet")
        (folder / "card.json").write_text(json.dumps(card))
    return made


@pytest.fixture(scope="module")
def calls(folders: dict[str, Path]) -> dict[str, Done]:
    cases = CALLS | MISTAKES
    arguments = [[f"embeddings={folders['train']}", f"test={folders['test']}", *extra] for extra in cases.values()]
    environment = {**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return {name: Done(*case) for name, case in zip(cases, json.loads(done.stdout), strict=True)}


def test_retrieval_prints_a_table_and_writes_json_markdown_and_page(calls, folders):
    status, out, err = calls["retrieval"]
    assert status == 0, err
    assert "audio → video" in out
    assert "chance" in out
    report = json.loads((folders["train"] / "retrieval.json").read_text("utf-8"))
    assert report["results"][0]["R@1"] == 1
    assert "1.000 (0.042)" in (folders["train"] / "retrieval.md").read_text("utf-8")
    assert (folders["train"] / "gallery" / "index.html").is_file()


def test_probe_in_folds_of_one_set(calls, folders):
    assert calls["folds"].status == 0, calls["folds"].err
    (report,) = json.loads((folders["train"] / "probe.json").read_text("utf-8"))
    assert report["rounds"] == 3
    assert report["linear"]["accuracy"] == report["knn"]["accuracy"] == 1


def test_probe_with_few_labels_on_another_set(calls, folders):
    assert calls["few"].status == 0, calls["few"].err
    reports = json.loads((folders["test"] / "probe.json").read_text("utf-8"))
    assert [(r["view"], r["per_class"], r["rounds"]) for r in reports] == [("audio", 2, 2), ("video", 2, 2)]
    assert "2 per label" in calls["few"].out


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_ends_in_its_line_and_status_2(calls, words):
    assert calls[words].status == 2
    assert words in calls[words].err.splitlines()[-1]
    assert "Traceback" not in calls[words].err
