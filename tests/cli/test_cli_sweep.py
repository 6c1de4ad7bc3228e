"""-m: jobs that are checked before the first one runs, and a folder for each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.io import write_png

from avssl.cli.compose import Composer
from avssl.cli.sweep import Job, in_own_folders, jobs_of, run_all
from avssl.errors import UserError


def jobs(*words: str) -> list[Job]:
    return jobs_of(words, lambda group: ["avid", "avid_cma", "er"])


def test_jobs_are_those_of_hydras_sweeper():
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = ["seed=0,1", "objective=choice(er,avid)", "trainer.epochs=range(1,4)", "name='a,b'", "data.size=[1,2],[3]"]
    (hydras,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), None)
    found = jobs(*words)
    assert len(found) == 24
    assert [sorted(job.overrides) for job in found] == [sorted(each) for each in hydras]
    assert found[0].swept == ["seed=0", "objective=er", "trainer.epochs=1", "data.size=[1,2]"]
    assert [job.swept for job in jobs("objective=glob(av*)")] == [["objective=avid"], ["objective=avid_cma"]]


def test_what_cannot_be_enumerated_is_refused():
    with pytest.raises(UserError, match="an interval has no values"):
        jobs("seed=interval(0,1)")
    with pytest.raises(UserError, match="no value"):
        jobs("objective=glob(x*)")


def test_jobs_that_share_a_folder_get_one_each():
    two = jobs("seed=0,1", "branches.video.encoder=a/b")
    moved, places = in_own_folders(two, ["runs/avid"] * 2, "out", is_file=False)
    assert places == ["runs/avid/seed=0", "runs/avid/seed=1"]
    assert moved[1].overrides[-1] == "out='runs/avid/seed=1'"
    assert moved[1].swept == ["seed=1"]
    _, places = in_own_folders(two, ["a.parquet"] * 2, "out", is_file=True)
    assert places == ["a/seed=0.parquet", "a/seed=1.parquet"]
    assert in_own_folders(two, ["a", "b"], "out", is_file=False) == (two, ["a", "b"])


def test_folders_have_names_that_every_system_takes():
    odd = jobs("data.root='/a b/ü,1','/a b?ü*1'", f"name={'x' * 300},y")
    _, places = in_own_folders(odd, ["runs"] * 4, "out", is_file=False)
    assert len(set(places)) == 4
    for place in places:
        name = Path(place).name
        assert len(name.encode()) <= 255
        assert not set(name) & set(' /?*"<>|:\\')


def test_two_jobs_in_one_folder_that_the_user_names_are_refused():
    both = jobs("seed=0,1", "objective=er,avid", "out=x/${seed}")
    with pytest.raises(UserError, match=r"out=x/0: jobs 1 \(seed=0 objective=er\) and 2 \(seed=0 objective=avid\)"):
        in_own_folders(both, ["x/0", "x/0", "x/1", "x/1"], "out", is_file=False)


def test_later_jobs_run_after_a_failure_and_the_end_says_which(capsys: pytest.CaptureFixture[str]):
    ran = []

    def run(number: int) -> None:
        ran.append(number)
        if number == 1:
            raise SystemExit(2)

    with pytest.raises(SystemExit) as end:
        run_all(jobs("seed=0,1,2"), run)
    assert (ran, end.value.code) == ([0, 1, 2], 2)
    assert capsys.readouterr().err == "error: 1 of 3 jobs failed: 2 (seed=1)\n"


def test_an_interruption_ends_them_all():
    def run(number: int) -> None:
        raise SystemExit(130)

    with pytest.raises(SystemExit) as end:
        run_all(jobs("seed=0,1,2"), run)
    assert end.value.code == 130


def test_job_numbers_are_hydras():
    assert [Composer("train").job(["out=runs/${hydra:job.num}"], n).out for n in (0, 1)] == ["runs/0", "runs/1"]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        picture = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8)
        write_png(picture, str(tmp_path / "pictures" / f"{number}.png"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pictures"


SMALL = ("experiment=smoke/cpu", "data=images", "branches=image_tiny", "objective=infonce", "data.batch_size=2")


def test_a_sweep_over_seeds_trains_into_a_folder_each(run, pictures: Path):
    done = run("train", "-m", "pictures", *SMALL, "seed=0,1")
    assert done.status == 0, done.err
    assert done.out.startswith("2 jobs, one after the other\n  1  seed=0  -> runs/infonce/seed=0\n")
    assert all((pictures.parent / "runs" / "infonce" / f"seed={n}" / "checkpoints").is_dir() for n in (0, 1))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["seed=0,1", "data.szie=3"], "job 1 (seed=0): data.szie: no such key, did you mean data.size?"),
        (["objective=infonce,nope"], "job 2 (objective=nope): objective=nope: no such choice"),
        (["data.root=pictures,nowhere"], "job 2 (data.root=nowhere): data.root=nowhere: no such folder"),
        (["out=x", "seed=0,1", "data.root="], "job 1 (seed=0): data.root is missing"),
        (["seed=0,1", "hydra/launcher=ray"], "error: hydra/launcher: plugins of hydra are not loaded"),
    ],
)
def test_a_mistake_in_any_job_shows_before_the_first_one_runs(run, pictures: Path, words: list[str], sentence: str):
    given = [] if any(word.startswith("data.root=") for word in words) else ["pictures"]
    done = run("train", "-m", *given, *SMALL, *words)
    assert (done.status, done.out) == (2, "")
    assert sentence in done.err
    assert not (pictures.parent / "runs").exists()


def test_a_commands_own_check_sees_every_job(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("embeddings.parquet", "card.json"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    done = run("eval", "-m", ".", "task=retrieval,guess")
    assert (done.status, done.out) == (2, "")
    assert done.err == "error: job 2 (task=guess): task=guess; allowed: retrieval, probe\n"
