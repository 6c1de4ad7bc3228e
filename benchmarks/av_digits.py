"""Real audio-visual digits through real mp4 files: what each objective learns, with frozen encoders.

python benchmarks/av_digits.py --data FOLDER --out FOLDER [--seeds 0 1 2] [--rows avid cma ...] [--validation]

Needs the folder of data_prep/av_digits.py. Trains with the package's own commands, tests on the official takes 0-4, and
writes OUT/<row>-<seed>/result.json; what is there already is kept, so several calls may share the work. The last thing
it does is the table of all results in OUT, as Markdown on standard output. With --validation it trains on takes 10-49
and tests on takes 5-9 instead: settings are chosen there.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import torch

from avssl.data.decode.readers import frames
from avssl.data.manifest import Manifest
from avssl.evaluation.embeddings import Embeddings
from avssl.evaluation.probes import probe
from avssl.evaluation.retrieval import retrieval_report
from avssl.neighbors import mine_positives
from avssl.training.checkpoint import load
from avssl.training.run_log import read_metrics

AVID = ("objective=avid", "objective.num_negatives=256")
CMA = ("objective=avid_cma", "objective.num_negatives=256", "objective.refresh_every=4")
SHARED, LAST = 22, 8  # epochs of AVID that CMA and its controls start from, and how many they add
YOUNG = SHARED // 2  # epochs of a bank that does not know all yet
MORE = (f"trainer.epochs={LAST}", "optim.optimizer.lr=5e-4")
PLAIN = ("branches.video.head.norm_last=false", "branches.audio.head.norm_last=false")
RANDOM = (
    "objective=infonce",
    *PLAIN,
    "trainer.epochs=1",
    "optim.optimizer.lr=0.0",
)  # one epoch for the batch statistics
TAKES = {"train": range(5, 50), "test": range(5), "fit": range(10, 50), "validation": range(5, 10)}
FEW = 5  # labels per class in the few-label probe


class Row(NamedTuple):
    """A line of the table: how it is trained, and from which other row's run, after SHARED epochs, it starts."""

    title: str
    overrides: tuple[str, ...]
    init: str | None = None


ROWS = {
    "random": Row("random init", RANDOM),
    "infonce": Row("InfoNCE, 16 epochs", ("objective=infonce", *PLAIN, "trainer.epochs=16")),
    "er": Row("ER (vMF, kappa 10, KDE leave-one-out), 18 epochs", ("objective=er", *PLAIN, "trainer.epochs=18")),
    "avid": Row("AVID, 30 epochs", (*AVID, "trainer.epochs=30", f"trainer.keep_every={YOUNG}")),
    "cma": Row(f"AVID {SHARED}, then CMA {LAST}", (*CMA, *MORE), "avid"),
    "avid_avid": Row(f"AVID {SHARED}, then AVID {LAST}", (*AVID, *MORE), "avid"),
    "cma_random": Row("CMA, random positives", (*CMA, *MORE, "objective._target_=positives.random_positives"), "avid"),
    "cma_oracle": Row("CMA, oracle positives", (*CMA, *MORE, "objective._target_=positives.oracle_positives"), "avid"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("av_digits"))
    parser.add_argument("--out", type=Path, default=Path("runs/av_digits"))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--validation", action="store_true")
    arguments = parser.parse_args()
    parts = ("fit", "validation") if arguments.validation else ("train", "test")
    for part in parts:
        write_manifest(arguments.data, arguments.out, part)
    for seed in arguments.seeds:
        for name in arguments.rows:
            measure(name, seed, arguments.data, arguments.out, parts)
    print(table(arguments.out))
    print(f"\nRaw pixels of the middle frame, 1-NN: {raw_pixels(arguments.out, parts):.3f}")


def write_manifest(data: Path, out: Path, part: str) -> None:
    """The clips of a part's takes; the labels in the order of rows beside it."""
    folder = "test" if part == "test" else "train"
    manifest = Manifest.read(data / f"{folder}.parquet", data / folder)
    taken = [int(Path(path).stem.rpartition("_")[2]) in TAKES[part] for path in manifest.paths]
    chosen = Manifest(manifest.root, manifest.table.filter(pa.array(taken)))
    out.mkdir(parents=True, exist_ok=True)
    chosen.write(out / f"{part}.parquet")
    (out / f"{part}-labels.json").write_text(json.dumps(chosen.labels))


def measure(name: str, seed: int, data: Path, out: Path, parts: tuple[str, str]) -> None:
    """Train, embed and evaluate one row unless its result is there."""
    row, run = ROWS[name], out / f"{name}-{seed}"
    if (run / "result.json").exists():
        return
    if row.init:
        measure(row.init, seed, data, out, parts)
    train_part, test_part = parts
    source = ("data.root=" + str(data / "train"), f"data.manifest={out / train_part}.parquet", "data.workers=0")
    init = (f"init={out / row.init}-{seed}/checkpoints/epoch-{SHARED:04d}",) if row.init else ()
    labels = (f"+objective.labels={out / train_part}-labels.json",) if name == "cma_oracle" else ()
    common = ("data=av_digits", f"seed={seed}", f"out={run}", "resume=auto", "trainer.accelerator=cpu")
    command("train", *common, *source, *row.overrides, *init, *labels)
    found = {}
    for part in parts:
        root = data / ("test" if part == "test" else "train")
        manifest = f"data.manifest={out / part}.parquet"
        command("embed", f"checkpoint={run}", f"data.root={root}", manifest, f"out={run / part}", "data.workers=0")
        found[part] = Embeddings.read(run / part)
    result = figures(found[train_part], found[test_part]) | costs(run) | mining(run, out / f"{train_part}-labels.json")
    (run / "result.json").write_text(json.dumps(result, indent=1))


def command(name: str, *overrides: str) -> None:
    """Run a command of the package in this process, and say which."""
    print(f"$ avssl-{name} {' '.join(overrides)}", file=sys.stderr, flush=True)
    sys.argv = [f"avssl-{name}", *overrides]
    importlib.import_module(f"avssl.cli.{name}").main()


def figures(train: Embeddings, test: Embeddings) -> dict[str, float]:
    """Linear probes on the encoders' features with all and with few labels, and retrieval by label across views."""
    found = {}
    for view in ("audio", "video"):
        found[f"linear/{view}"] = probe(train, test, f"{view}.feature")["linear"]["accuracy"]
        found[f"few/{view}"] = probe(train, test, f"{view}.feature", per_class=FEW, seeds=5)["linear"]["accuracy"]
    for result in retrieval_report(test, ["audio", "video"])["results"]:
        if result["by"] == "label" and result["query"] != result["gallery"]:
            key = f"{result['query']}>{result['gallery']}"
            found |= {f"R@1/{key}": result["R@1"], f"mAP/{key}": result["mAP"]}
    return found


def costs(run: Path) -> dict[str, float]:
    rows = read_metrics(run / "metrics.csv")
    clips = len(load(run).ids)
    return {
        "seconds_per_epoch": clips * statistics.mean(1 / row["clips_per_s"] for row in rows),
        "decoding": statistics.mean(row["waiting"] for row in rows),
    }


def mining(run: Path, labels_file: Path) -> dict[str, float]:
    """The share of the 32 mined positives that have the query's label, by rule, when YOUNG, SHARED and at the end."""
    names = json.loads(labels_file.read_text())
    labels = torch.tensor([int(name) for name in names])
    found = {}
    kept = {f"epoch {epoch}": run / "checkpoints" / f"epoch-{epoch:04d}" for epoch in (YOUNG, SHARED)}
    for when, file in (kept | {"end": run}).items():
        state = load(file).objective if file.exists() else {}
        banks = {key.split(".")[1]: value for key, value in state.items() if key.startswith("banks.")}
        rules = {"consensus": "consensus", "union": "union"} | {view: row for row, view in enumerate(banks)}
        for name, rule in rules.items() if banks else ():
            positives = mine_positives(list(banks.values()), 32, rule).rows
            right = (labels[positives] == labels[:, None]).double().mean().item()
            found[f"precision/{when}, {name}"] = right
    return found


def raw_pixels(out: Path, parts: tuple[str, str]) -> float:
    """Accuracy of the nearest neighbour among the training clips' middle frames."""
    pictures, labels = {}, {}
    for part in parts:
        manifest = Manifest.read(out / f"{part}.parquet")
        middle = [frames(manifest.path(row), [0.5])[0, 0] for row in range(len(manifest))]
        pictures[part], labels[part] = torch.stack(middle).flatten(1).float(), manifest.labels
    nearest = torch.cdist(pictures[parts[1]], pictures[parts[0]]).argmin(1).tolist()
    return statistics.mean(labels[parts[0]][row] == own for row, own in zip(nearest, labels[parts[1]], strict=True))


def table(out: Path) -> str:
    """All results in a folder, mean and range over seeds."""
    columns = {
        "linear a / v": ("linear/audio", "linear/video"),
        f"{FEW} labels a / v": ("few/audio", "few/video"),
        "a->v R@1, mAP": ("R@1/audio>video", "mAP/audio>video"),
        "v->a R@1, mAP": ("R@1/video>audio", "mAP/video>audio"),
        "s / epoch": ("seconds_per_epoch",),
        "decoding": ("decoding",),
    }
    lines = ["| | seeds | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    precision = []
    for name, row in ROWS.items():
        results = [json.loads(file.read_text()) for file in sorted(out.glob(f"{name}-[0-9]*/result.json"))]
        if results:
            cells = [" / ".join(spread([r[key] for r in results]) for key in keys) for keys in columns.values()]
            lines.append(f"| {row.title} | {len(results)} | " + " | ".join(cells) + " |")
            mined = dict.fromkeys(key for r in results for key in r if key.startswith("precision/"))
            for key in sorted(mined):
                values = [r[key] for r in results if key in r]
                precision.append(f"| {row.title} | {key.partition('/')[2]} | {len(values)} | {spread(values)} |")
    header = ["", "Precision of 32 mined positives:", "", "| | when, rule | seeds | |", "|---|---|---|---|"]
    return "\n".join([*lines, *header, *precision])


def spread(values: list[float]) -> str:
    digits = 1 if max(values) > 2 else 2
    low, high = min(values), max(values)
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({low:.{digits}f}-{high:.{digits}f})"


if __name__ == "__main__":
    main()
