from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from avssl.evaluation import search_index as module
from avssl.evaluation.embed import clips_to_embed, embed_folder
from avssl.evaluation.embeddings import Embeddings
from avssl.evaluation.model import Model
from avssl.evaluation.retrieval import retrieval, retrieval_report
from avssl.evaluation.search_index import SearchIndex, build_index
from avssl.neighbors.index import InnerProductIndex
from avssl.types import UserError


@pytest.fixture(scope="module")
def folder(model: Model, tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("searched") / "emb"
    embed_folder(model, tiny_videos, out, workers=0, clips=2)
    return out


def test_hits_are_the_largest_cosines(model, clips, folder):
    table = Embeddings.read(folder)
    index, z = build_index(table), model.embed(clips[:3])
    result = index.search(z["audio"], view="video", k=4)
    cosines = (z["audio"] @ torch.from_numpy(table["video"]).T).topk(4)
    assert len(result) == 12
    for n, hits in enumerate(result.hits):
        assert [hit.score for hit in hits] == pytest.approx(cosines.values[n].tolist(), abs=1e-5)
        for hit, row in zip(hits, cosines.indices[n].tolist(), strict=True):
            assert hit[1:] == (table.paths[row], table.labels[row], table.start_s[row])
    by_dict = index.search(z, view="video", k=4, by="audio")
    assert list(by_dict) == list(result)
    scaled = index.search(7 * z["audio"][0].numpy(), "video", 4)
    assert [hit.score for hit in scaled] == pytest.approx([hit.score for hit in result.hits[0]], abs=1e-6)
    assert index.search({"audio": z["audio"]}, "video", 4).hits == result.hits


def test_a_result_prints_as_a_table_for_each_query(model, clips, folder):
    index = SearchIndex.load(folder, views=["video"])
    result = index.search_files(model, clips[:2], "video", 2, by="audio")
    lines = str(result).splitlines()
    assert [line.strip() for line in lines if "audio of" in line] == [f"audio of {path} -> video" for path in clips[:2]]
    assert sum(".mp4" in line and "│" in line for line in lines) == 4
    assert repr(result) == str(result)


def test_a_saved_index_answers_as_it_did(model, clips, folder, monkeypatch):
    query = model.embed(clips[:3])["audio"]
    for kind in ("ivf", "hnsw"):
        made = build_index(folder, kind)
        expected = made.search(query, "video", 5)
        made.save(folder)
        with monkeypatch.context() as patch:
            patch.setattr(InnerProductIndex, "__init__", lambda *_: pytest.fail("built anew"))
            loaded = SearchIndex.load(folder, views=["video"])
            assert loaded.kind == kind
            assert list(loaded.search(query, "video", 5)) == list(expected)
        assert SearchIndex.load(folder, kind="flat").kind == "flat"
    build_index(folder).save(folder)
    assert SearchIndex.load(folder).kind == "flat"
    assert not (folder / module.INDEX).exists()


def test_only_the_searched_column_is_read(folder):
    index = SearchIndex.load(folder, views=["video"])
    assert index.table.columns == ["video"]
    with pytest.raises(
        UserError, match=r"view=sound: no such column of embeddings; allowed: video, audio, video.feature"
    ):
        SearchIndex.load(folder, views=["sound"])


def test_mistakes_are_named(model, clips, folder, tmp_path):
    index = build_index(folder)
    z = model.embed(clips[0])
    for arguments, message in (
        ((z["audio"], "smell"), "view='smell'; allowed: video, audio"),
        ((z["audio"], "video", 0), "k=0; allowed: 1 to 48, the number of clips"),
        ((z["audio"], "video", 49), "k=49; allowed: 1 to 48"),
        ((z, "video"), "by=None; allowed: a view of the query: video, audio"),
        ((z["audio"], "video.feature"), "query: 6 numbers a row; allowed: 32, as view=video.feature has"),
        ((np.zeros((2, 3, 6)), "video"), r"query: shape \[2, 3, 6\]"),
    ):
        with pytest.raises(UserError, match=message):
            index.search(*arguments)
    with pytest.raises(UserError, match="by='image'; allowed"):
        index.search(z, "video", by="image")
    with pytest.raises(UserError, match="kind='tree'; allowed: flat, ivf, hnsw"):
        build_index(folder, "tree")
    with pytest.raises(UserError, match="no finished embeddings"):
        build_index(tmp_path)
    with pytest.raises(UserError, match="no finished embeddings"):
        index.save(tmp_path)
    (tmp_path / "index.faiss").write_bytes(b"no index")
    with pytest.raises(UserError, match="not a saved index"):
        InnerProductIndex.of_bytes(b"no index", "ivf")


def test_an_index_of_other_weights_or_clips_is_refused(model, clips, folder, tmp_path, tiny_videos):
    other = _changed(model)
    with pytest.raises(UserError, match=r"the embeddings are of other weights .* embed anew"):
        build_index(folder).search_files(other, clips[:1], "video", by="audio")
    out = tmp_path / "emb"
    fewer = embed_folder(model, tiny_videos, out, workers=0)
    with pytest.raises(UserError, match="holds other embeddings than the index is of"):
        build_index(folder).save(out)
    build_index(fewer, "hnsw").save(out)
    for file in ("embeddings.parquet", "card.json"):
        (out / file).write_bytes((folder / file).read_bytes())
    with pytest.raises(UserError, match=r"index.json: an index of other embeddings; save it anew"):
        SearchIndex.load(out)


def _changed(model: Model) -> Model:
    branches = copy.deepcopy(model.branches)
    with torch.no_grad():
        next(branches.parameters()).add_(1)
    return Model(branches, model.views)


def test_retrieval_is_the_commands_report_and_prints_as_its_table(folder):
    table = Embeddings.read(folder)
    card = retrieval(folder)
    assert card == retrieval_report(table)
    assert "Retrieval. By instance" in str(card)
    assert "chance" in repr(card)
    assert retrieval(table, average_clips=True)["clips"] == 24
    with pytest.raises(UserError, match="no clip has an answer"):
        retrieval(Embeddings(table.table.slice(0, 1).select(["id", "path", "label", "start_s", "video"])))


def test_a_table_reads_as_arrays(folder):
    table = Embeddings.read(str(folder))
    assert table["audio"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(table["audio"], axis=1), 1, atol=1e-6)
    assert not np.allclose(table.vectors("audio").norm(dim=1), 1, atol=1e-3)
    assert repr(table) == (
        "Embeddings of 48 clips of 24 files: video [48 6], audio [48 6], video.feature [48 32], audio.feature [48 32]"
    )
    with pytest.raises(UserError, match="view=smell"):
        table["smell"]


def test_a_folder_is_embedded_with_what_was_asked(model, tiny_videos, tmp_path):
    table = embed_folder(
        model, str(tiny_videos), tmp_path / "a", views=["audio"], workers=0, label_pattern=r"(\d)\.mp4"
    )
    assert table.columns == ["audio", "audio.feature"]
    assert set(table.labels) <= set("0123456789")
    again = embed_folder(model, tiny_videos, tmp_path / "a", views=["audio"], workers=0, label_pattern=r"(\d)\.mp4")
    assert again.hash == table.hash
    trained_on = tiny_videos, lambda: table.ids[:3]
    trained = Model(model.branches, model.source, about={"checkpoint": "x"}, trained_on=trained_on)
    card = embed_folder(trained, clips_to_embed(trained, tiny_videos, workers=0), tmp_path / "b", workers=0).card
    assert (card["checkpoint"], card["training_overlap"]) == ("x", 3)


def test_mistakes_in_embedding_a_folder(model, tiny_videos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.mp4").write_text("no video")
    (tmp_path / "file").write_text("")
    for root, settings, message in (
        (tiny_videos, {"views": ["smell"]}, r"views=\['smell'\]; allowed: some of video, audio"),
        (tiny_videos, {"views": []}, r"views=\[\]; allowed"),
        (tiny_videos, {"clips": 0}, "clips=0; allowed: 1 and more"),
        (tiny_videos, {"batch_size": 0}, "batch_size=0; allowed"),
        (tiny_videos, {"out": tmp_path / "file"}, "out=.*file'; allowed: a folder"),
        (tmp_path / "nowhere", {}, "nowhere"),
        (tmp_path / "texts", {}, "no usable file .*allowed: files with video and audio of 0.8 s and more"),
    ):
        with pytest.raises(UserError, match=message):
            embed_folder(model, root, **{"out": tmp_path / "out", "workers": 0, **settings})
    assert not (tmp_path / "out").exists()


HEAVY = ["torchvision", "lightning_fabric", "torchmetrics", "scipy", "sklearn", "matplotlib", "pandas", "PIL"]
SEARCH = """
import sys
sys.path.insert(0, sys.argv[1])
from tiny_model import tiny_model
from avssl.evaluation.search_index import SearchIndex
index = SearchIndex.load(sys.argv[2], views=["video"])
print(len(index.search_files(tiny_model(), [sys.argv[3]], "video", 3, by="audio")))
print([name for name in sys.argv[4:] if name in sys.modules])
"""


def test_a_search_by_sound_imports_no_more_than_it_needs(clips, folder):
    """Each of these takes from half a second to as long as torch itself."""
    arguments = [str(Path(__file__).parent), str(folder), str(clips[0]), *HEAVY]
    done = subprocess.run([sys.executable, "-c", SEARCH, *arguments], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["3", "[]"], done.stderr
