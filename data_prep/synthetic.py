"""Write synthetic training and test clips: bouncing objects whose sound and picture belong together.

python data_prep/synthetic.py OUT [--train 400] [--test 100] [--seed 0]
    ->   OUT/{train,test}/{kind}/{kind}_{number}.mp4
"""

from __future__ import annotations

import argparse
from pathlib import Path

from avssl.data.synthetic import write_synthetic


def main() -> None:
    """Write both parts, from different seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--train", type=int, default=400, help="number of training clips (default: 400)")
    parser.add_argument("--test", type=int, default=100, help="number of test clips (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other clips (default: 0)")
    arguments = parser.parse_args()
    for offset, part in enumerate(("train", "test")):
        clips = getattr(arguments, part)
        write_synthetic(arguments.out / part, clips=clips, seed=2 * arguments.seed + offset)
        print(f"{arguments.out / part}: {clips} clips")


if __name__ == "__main__":
    main()
