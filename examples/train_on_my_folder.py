"""Train on a folder of videos, without labels, and look at what came out.

python train_on_my_folder.py ~/videos --minutes 10
python train_on_my_folder.py ~/videos data.size=64 branches=tiny    # any key of avssl-train
"""

import argparse

import avssl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of videos, in subfolders or not")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="see avssl-train --help")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--out", default="runs/mine")
    asked = parser.parse_intermixed_args()

    # Files that cannot be used are counted with the reason. Ctrl-C saves; resume="auto" goes on from there.
    run = avssl.train(
        asked.folder, objective="er", out=asked.out, minutes=asked.minutes, resume="auto", overrides=asked.settings
    )
    print(f"loss {run.metrics[0]['loss']:.2f} -> {run.metrics[-1]['loss']:.2f}, curves in {run.report}")

    # A model gives unit vectors, a row for each file: of the picture and of the sound.
    model = avssl.load(run)
    print(model)
    some = [f"{asked.folder}/{path}" for path in avssl.data.Manifest.read(run.folder / "manifest.parquet").paths[:4]]
    z = model.embed(some)
    print(f"cosine of the sound of {len(some)} files (rows) with their pictures (columns):")
    print(model.similarity(z["audio"], z["video"]))


if __name__ == "__main__":  # processes that decode read this file again on some systems
    main()
