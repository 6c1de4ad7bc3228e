"""Clips of a list find their files whatever the layout, each file once, and a missing one stays in the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avssl.data.manifest import Manifest
from avssl.data.official import Clip, locate, merged, official_manifest


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def found(root: Path, *clips: Clip, with_picture: bool = True) -> list[str]:
    """The path of each clip, in the order of the clips."""
    paths, _ = locate(root, clips, with_picture)
    assert len(paths) == len(clips)
    return [next(path for path, own in paths.items() if own is clip) for clip in clips]


def test_a_file_is_found_anywhere_with_any_extension(tmp_path: Path) -> None:
    root = touch(tmp_path, "-a_1.MP4", "x/y z/b.webm", "b.txt", ".b.mp4", "c.d_2.5.mkv")
    clips = [Clip((name,), f"lost/{name}.mp4", ("l",)) for name in ("-a_1", "b", "c.d_2.5", "gone")]
    assert found(root, *clips) == ["-a_1.MP4", "x/y z/b.webm", "c.d_2.5.mkv", "lost/gone.mp4"]
    assert locate(touch(root, "more.mp4"), clips)[1] == 1


def test_a_name_with_a_folder_wants_that_folder(tmp_path: Path) -> None:
    root = touch(tmp_path, "deep/run/a.avi", "xrun/b.avi")
    run, walk = (Clip((f"{label}/a",), f"{label}/a.avi", (label,)) for label in ("run", "walk"))
    other = Clip(("run/b",), "run/b.avi", ("run",))
    assert found(root, walk, run, other) == ["walk/a.avi", "deep/run/a.avi", "run/b.avi"]


def test_a_file_goes_to_the_clip_that_it_has_the_official_name_of(tmp_path: Path) -> None:
    """A clip of the same name in another class must not take it, though it may be called so in a flat copy."""
    root = touch(tmp_path / "by_class", "walk/a.avi")
    run, walk = (Clip((f"{label}/a", "a"), f"{label}/a.avi", (label,)) for label in ("run", "walk"))
    assert found(root, run, walk) == ["run/a.avi", "walk/a.avi"]
    assert locate(root, [run, walk])[0]["walk/a.avi"] is walk
    flat = touch(tmp_path / "flat", "a.avi")
    assert found(flat, run) == ["a.avi"]


def test_of_several_files_it_takes_what_is_needed(tmp_path: Path) -> None:
    root = touch(tmp_path, "audio/a.wav", "val/a.mp4", "train/a.mp4", "zoo/a.mp4")
    clip = Clip(("a",), "a.mp4", ("l",), "train")
    assert found(root, clip) == ["train/a.mp4"]
    assert found(root, clip, with_picture=False) == ["audio/a.wav"]


def test_entries_of_one_name_are_one_clip_that_is_not_trained_on() -> None:
    entries = [
        Clip(("a",), "1.mp4", ("dog",), "train", {"n": 1}),
        Clip(("b",), "2.mp4", ("cat",), "train"),
        Clip(("a",), "3.mp4", ("cat",), "test", {"n": 2}),
        Clip(("a",), "3.mp4", ("dog",), "train", {"n": 3}),
    ]
    assert merged(entries) == [Clip(("a",), "1.mp4", ("dog", "cat"), "test", {"n": 1}), entries[1]]


def test_columns_are_those_of_the_clip_of_the_row(copy: Callable[..., Path], tmp_path: Path) -> None:
    root = copy(tmp_path / "data", "z.mp4", "a.mp4")
    clips = [
        Clip(("z",), "z.mp4", ("dog", "cat"), "train", {"fold": 1}),
        Clip(("gone",), "m.mp4", (), "test", {"fold": 2}),
        Clip(("a",), "a.mp4", ("cow",), "test", {"fold": 3}),
    ]
    manifest, others = official_manifest(root, clips, require=("video", "audio"))
    manifest.write(tmp_path / "m.parquet")
    read = Manifest.read(tmp_path / "m.parquet")
    assert others == 0
    assert read.paths == ["a.mp4", "m.mp4", "z.mp4"]
    assert read.labels == ["cow", "", "dog"]
    assert read.column("labels") == ["cow", "", "dog;cat"]
    assert read.column("fold") == [3, 2, 1]
    assert read.column("split") == ["test", "test", "train"]
    assert read.column("status") == ["ok", "missing", "ok"]
    assert read.select()[0].column("fold") == [3, 1]
