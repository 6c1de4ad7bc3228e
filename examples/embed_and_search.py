"""Embed a folder with a trained model, measure it, and find the clips whose picture goes with a sound.

    python embed_and_search.py runs/mine ~/videos

As commands: avssl-embed runs/mine ~/videos out=emb; avssl-eval emb; avssl-search emb clip.mp4
"""

import argparse
from pathlib import Path

import avssl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run, a checkpoint, an exported folder, or USER/NAME of the Hub")
    parser.add_argument("folder", help="of videos")
    parser.add_argument("--out", default="emb", help="folder for the embeddings")
    parser.add_argument("--workers", type=int, default=2, help="processes that decode")
    asked = parser.parse_args()

    # A row for every clip. Run again, it reads what is there; stopped, it goes on.
    model = avssl.load(asked.model)
    table = avssl.embed(model, asked.folder, asked.out, workers=asked.workers)
    print(f"{len(table)} clips, audio {table['audio'].shape}, labels {sorted(set(table.labels))[:5]}")

    # How often the right picture is the nearest of a sound, and what chance would give.
    print(avssl.retrieval(table))

    # The sound of one file, or of any array, against the pictures of all.
    index = avssl.build_index(table)
    query = Path(asked.folder).expanduser() / table.paths[0]
    for hit in index.search(model.embed(query)["audio"], view="video", k=3):
        print(f"{hit.score:.2f}  {hit.path} at {hit.start_s:.1f} s")


if __name__ == "__main__":
    main()
