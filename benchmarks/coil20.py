"""Turntable cameras (COIL-20): what every objective learns without labels, and how ER takes small batches.

python benchmarks/coil20.py --data FOLDER --out FOLDER [--seeds 0 1 2] [--rows infonce er ...] [--part methods|er|all]

Needs the folder of data_prep/coil20.py. Trains on the rig with the package's own commands, embeds every picture, and
probes with 3 labelled pictures per object, tested on all others. OUT/<row>-<seed>/result.json is kept, so that several
calls may share the work. The last thing it does is the table as Markdown, and OUT/er.png with the part on ER.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import pyarrow as pa
import torch
from av_digits import command, spread

from avssl.data.decode.image import read_image
from avssl.evaluation.embeddings import Embeddings, table_of
from avssl.evaluation.probes import probe
from avssl.functional.matrix_information import effective_rank
from avssl.training.run_log import read_metrics

EPOCHS, BATCH, INSTANCES = 30, 64, 480
LABELLED = 3  # pictures per object, 120 degrees apart
SMALL = ("branches=image_small", "embedding_dim=64")
WIDE = (
    "branches.image.head.hidden=[256]",
    "branches.image.head.norm=true",
    "embedding_dim=256",
)
VIT = (
    "branches.image.encoder.size=[32,32]",
    "branches.image.encoder.patch=[4,4]",
    "+branches.image.encoder.width=64",
    "branches.image.encoder.depth=4",
    "+branches.image.encoder.heads=4",
    "objective.decoder_width=64",
    "objective.decoder_depth=1",
    "objective.decoder_heads=4",
)


class Row(NamedTuple):
    """A training: how, and with which batch."""

    title: str
    overrides: tuple[str, ...]
    batch: int = BATCH
    encoder: tuple[str, ...] = SMALL


BYOL = ("objective=byol", "objective.predictor_width=128")
BYOL_ER = ("objective=er", "objective.target=ema", "objective.predictor_width=128", "objective.entropy_weight=0.3")
ER = ("objective=er",)
INFONCE = ("objective=infonce",)
METHODS = {
    "random": Row("random init", ("objective=infonce", "optim.optimizer.lr=0.0", "trainer.epochs=1")),
    "infonce": Row("InfoNCE", INFONCE),
    "moco": Row("MoCo, queue 1,024, EMA .99", ("objective=moco", "objective.queue_size=1024", "objective.ema=0.99")),
    "ir": Row("instance recognition (NPID)", ("objective=ir", "objective.num_negatives=256")),
    "avid": Row("AVID", ("objective=avid", "objective.num_negatives=256")),
    "avid_cma": Row(
        "AVID, then CMA",
        (
            "objective=avid_cma",
            "objective.num_negatives=256",
            "objective.warmup_epochs=20",
            "objective.num_positives=8",
        ),
    ),
    "er": Row("ER (vMF, both trained)", ER),
    "byol_er": Row("BYOL + ER (entropy x 0.3, EMA .99)", (*BYOL_ER, "objective.ema=0.99"), encoder=(*SMALL, *WIDE)),
    "dino_er": Row("DINO + ER", ("experiment=recommended/dino_er", "objective.num_clusters=64")),
    "swav_er": Row("SwAV + ER", ("experiment=recommended/swav_er", "objective.num_clusters=64")),
    "avid_er": Row("ER over AVID's banks", ("objective=avid_er", "objective.num_negatives=256")),
    "avid_cma_er": Row(
        "ER over CMA's positives",
        (
            "objective=avid_cma_er",
            "objective.num_negatives=256",
            "objective.warmup_epochs=20",
            "objective.num_positives=8",
        ),
    ),
    "swav": Row("SwAV", ("objective=swav", "objective.num_prototypes=64", "objective.queue_size=0")),
    "deepcluster": Row("DeepCluster v2", ("objective=deepcluster", "objective.num_prototypes=[64,64,64]")),
    "byol": Row("BYOL (EMA .99)", (*BYOL, "objective.ema=0.99"), encoder=(*SMALL, *WIDE)),
    "simsiam": Row("SimSiam", ("objective=simsiam",), encoder=(*SMALL, *WIDE)),
    "barlow_twins": Row("Barlow Twins", ("objective=barlow_twins",), encoder=(*SMALL, *WIDE)),
    "vicreg": Row("VICReg", ("objective=vicreg",), encoder=(*SMALL, *WIDE)),
    "dino": Row(
        "DINO, 256 prototypes, EMA .99", ("objective=dino", "objective.num_prototypes=256", "objective.ema=0.99")
    ),
    "spectral": Row("spectral contrastive", ("objective=spectral",)),
    "mae": Row("MAE (ViT of width 64, depth 4)", ("objective=mae",), encoder=VIT),
    "u_mae": Row("U-MAE", ("objective=u_mae",), encoder=VIT),
    "m_mae": Row("M-MAE", ("objective=m_mae",), encoder=VIT),
}
PAIRS = {"byol": ("BYOL", BYOL), "byol_er": ("BYOL + ER", BYOL_ER), "infonce": ("InfoNCE", INFONCE), "er": ("ER", ER)}
BATCHES, MOMENTA = (8, 16, 64, 256), (0.0, 0.5, 0.9, 0.99)
SAME = {f"{name}_batch{BATCH}": name for name in PAIRS} | {f"{name}_ema0.99": name for name in ("byol", "byol_er")}
"""Cells of the part on ER that are rows of the methods."""
GRID = {f"{name}_batch{batch}": METHODS[name]._replace(batch=batch) for name in PAIRS for batch in BATCHES} | {
    f"{name}_ema{ema}": METHODS[name]._replace(overrides=(*PAIRS[name][1], f"objective.ema={ema}"))
    for name in ("byol", "byol_er")
    for ema in MOMENTA
}
GRID = {name: row for name, row in GRID.items() if name not in SAME} | {name: METHODS[name] for name in PAIRS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("coil20"))
    parser.add_argument("--out", type=Path, default=Path("runs/coil20"))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="*", choices=METHODS | GRID)
    parser.add_argument("--part", choices=("methods", "er", "all"), default="all")
    arguments = parser.parse_args()
    parts = {"methods": METHODS, "er": GRID, "all": METHODS | GRID}[arguments.part]
    for seed in arguments.seeds:
        for name in arguments.rows or parts:
            measure(name, seed, arguments.data, arguments.out)
    print(table(arguments.out))
    print(f"\nRaw pixels: {json.dumps(raw_pixels(arguments.data))}\n")
    print(grid_table(arguments.out))
    plot(arguments.out)


def measure(name: str, seed: int, data: Path, out: Path) -> None:
    """Train, embed and probe one row unless its result is there."""
    row, run = (METHODS | GRID)[name], out / f"{name}-{seed}"
    if (run / "result.json").exists():
        return
    common = ("data=cameras", f"data.root={data / 'rig'}", "data.size=32", f"data.batch_size={row.batch}")
    grey = ("data.views.image.train.jitter=[0.4,0.4,0.0,0.0]", "data.views.image.train.grey=0.0")
    settings = (
        f"seed={seed}",
        f"out={run}",
        "resume=auto",
        "data.workers=0",
        "trainer.accelerator=cpu",
        "trainer.monitor_every=0",
    )
    command("train", *common, *grey, *settings, f"trainer.epochs={EPOCHS}", *row.encoder, *row.overrides)
    where = (f"data.root={data / 'views'}", f"out={run / 'views'}", "data.workers=0")
    command("embed", f"checkpoint={run}", *where)
    found = per_picture(Embeddings.read(run / "views"))
    seconds = statistics.mean(1 / r["clips_per_s"] for r in read_metrics(run / "metrics.csv"))
    result = figures(found) | {"s_per_epoch": INSTANCES * seconds}
    (run / "result.json").write_text(json.dumps(result, indent=1))


def per_picture(embeddings: Embeddings) -> Embeddings:
    """The same rows, each picture an instance of its own."""
    vectors = {name: embeddings.vectors(name) for name in embeddings.columns}
    paths = embeddings.paths
    labels = [Path(path).parent.name for path in paths]
    return Embeddings(table_of(paths, paths, labels, embeddings.start_s, vectors), embeddings.card)


def figures(pictures: Embeddings) -> dict[str, float]:
    """1-NN and linear accuracy of the encoder's features from few labels; the effective rank of the embeddings."""
    angles = [int(Path(path).stem) for path in pictures.paths]
    known = [angle % (360 // LABELLED) == 0 for angle in angles]
    train = Embeddings(pictures.table.filter(pa.array(known)), pictures.card)
    test = Embeddings(pictures.table.filter(pa.array([not k for k in known])), pictures.card)
    column = "image.feature" if "image.feature" in pictures.columns else pictures.columns[0]
    report = probe(train, test, column, k=1)
    rank = effective_rank(pictures.vectors("image")).item() if "image" in pictures.columns else 0.0
    return {"knn": report["knn"]["accuracy"], "linear": report["linear"]["accuracy"], "effective_rank": rank}


def raw_pixels(data: Path) -> dict[str, float]:
    """`figures` of the pixels themselves."""
    files = sorted((data / "views").glob("*/*.png"))
    pixels = torch.stack([read_image(file).flatten().float() for file in files])
    paths = [f"{file.parent.name}/{file.name}" for file in files]
    labels = [file.parent.name for file in files]
    pictures = Embeddings(table_of(paths, paths, labels, [0.0] * len(files), {"image": pixels}), {"root": str(data)})
    return {key: round(value, 3) for key, value in figures(pictures).items()}


def results(out: Path, name: str) -> list[dict[str, Any]]:
    """Of all seeds that are there."""
    return [json.loads(file.read_text()) for file in sorted(out.glob(f"{SAME.get(name, name)}-[0-9]/result.json"))]


def table(out: Path) -> str:
    """The methods, mean and range over seeds."""
    lines = ["| | seeds | 1-NN | linear | effective rank | s / epoch |", "|---|---|---|---|---|---|"]
    for name, row in METHODS.items():
        if found := results(out, name):
            cells = [spread([r[key] for r in found]) for key in ("knn", "linear", "effective_rank", "s_per_epoch")]
            lines.append(f"| {row.title} | {len(found)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def grid_table(out: Path) -> str:
    """1-NN accuracy of ER and what it is swapped in for, by batch and by EMA."""
    lines = [
        "| 1-NN | " + " | ".join(f"batch {b}" for b in BATCHES) + " | " + " | ".join(f"EMA {m}" for m in MOMENTA) + " |"
    ]
    lines.append("|---" * (1 + len(BATCHES) + len(MOMENTA)) + "|")
    for name, (title, _) in PAIRS.items():
        cells = [results(out, f"{name}_batch{b}") for b in BATCHES] + [results(out, f"{name}_ema{m}") for m in MOMENTA]
        lines.append(f"| {title} | " + " | ".join(spread([r["knn"] for r in c]) if c else "" for c in cells) + " |")
    return "\n".join(lines)


def plot(out: Path) -> None:
    """OUT/er.png: the grid as curves, with a dot for each seed."""
    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, kind, values in ((axes[0], "batch", BATCHES), (axes[1], "ema", MOMENTA)):
        for name, (title, _) in PAIRS.items():
            found = [[r["knn"] for r in results(out, f"{name}_{kind}{value}")] for value in values]
            if all(found):
                (line,) = axis.plot(range(len(values)), [statistics.mean(f) for f in found], label=title)
                for place, accuracies in enumerate(found):
                    axis.plot([place] * len(accuracies), accuracies, ".", color=line.get_color())
        axis.set(
            xticks=range(len(values)), xticklabels=values, xlabel={"batch": "batch size", "ema": "EMA momentum"}[kind]
        )
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"1-NN accuracy, {LABELLED} labels per object")
    axes[0].legend()
    figure.savefig(out / "er.png", dpi=130)


if __name__ == "__main__":
    main()
