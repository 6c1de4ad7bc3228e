"""Turntable pictures of 20 objects (COIL-20, 32 x 32 grey) as cameras of a rig, and one by one.

python data_prep/coil20.py [--mat FILE] [--out DIR] [--every 15] [--cameras 0 15 30 45 60]
    ->   OUT/rig/{object}_{angle}/{camera}.png and OUT/views/{object}/{angle}.png, angles in degrees

rig: an instance is an object at a turntable position, one each `--every` degrees; a camera that stands `--cameras`
degrees aside sees the object at position + camera. With the defaults 20 x 24 instances of 5 cameras, up to 60 degrees
apart (avssl-train data=cameras); each picture is then in up to five instances, which is right for training, but not for
asking which pictures are of one instance: for that --every 90 --cameras 0 30 60, say. views: each of the 20 x 72
pictures once; the folder is the object, and so the label.
"""

from __future__ import annotations

import argparse
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torchvision.io import write_png

OBJECTS, VIEWS, SIZE = 20, 72, 32
STEP = 360 // VIEWS  # degrees
SHARED = Path(os.environ.get("AVSSL_SHARED", Path(__file__).parents[2] / "shared")) / "data"

# MATLAB's numbers of types and classes
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15
PLAIN = range(6, 16)  # classes of arrays of numbers: double, single, int8, ... uint64
COMPLEX = 0x0800


def read_coil20(mat: Path) -> np.ndarray:
    """Pictures [20 72 32 32] uint8: object, turntable angle in steps of 5 degrees, rows, columns.

    The file's columns are the pictures, sorted by object and then by angle; each is read column by column, in 0..1.
    """
    content = read_mat(mat)
    if not np.array_equal(content["gnd"].ravel(), np.repeat(np.arange(1, OBJECTS + 1), VIEWS)):
        raise ValueError(f"{mat}: allowed: {VIEWS} pictures of each of {OBJECTS} objects in their order")
    pictures = content["X"].T.reshape(OBJECTS, VIEWS, SIZE, SIZE).swapaxes(2, 3)
    return np.rint(255 * pictures).astype(np.uint8)


def read_mat(file: Path) -> dict[str, np.ndarray]:
    """Each real matrix of numbers in a .mat file by its name. ValueError: not a file of MATLAB 5 to 7.2."""
    content = file.read_bytes()
    if content[124:128] != b"\x00\x01IM":
        raise ValueError(f"{file}: allowed: a little-endian file of MATLAB 5 to 7.2")
    found = {}
    for kind, data in _elements(content[128:]):
        for inner, matrix in _elements(zlib.decompress(data)) if kind == COMPRESSED else [(kind, data)]:
            if inner == MATRIX:
                (_, flags), (_, shape), (_, name), *parts = _elements(matrix)
                flag = int(np.frombuffer(flags, "<u4", 1)[0])
                if flag & 0xFF in PLAIN and not flag & COMPLEX:
                    values = np.frombuffer(parts[0][1], "<" + NUMBERS[parts[0][0]])
                    found[name.decode()] = values.reshape(np.frombuffer(shape, "<i4"), order="F")
    return found


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and data of each element; those of up to 4 bytes have their size beside the type."""
    at = 0
    while at + 8 <= len(content):
        kind, size = (int(number) for number in np.frombuffer(content, "<u4", 2, at))
        if kind >> 16:
            yield kind & 0xFFFF, content[at + 4 : at + 4 + (kind >> 16)]
            at += 8
        else:
            yield kind, content[at + 8 : at + 8 + size]
            at += 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)


def write(picture: np.ndarray, file: Path) -> None:
    """Write one grey picture [h w]."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_png(torch.from_numpy(picture.copy())[None], str(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mat", type=Path, default=SHARED / "coil20" / "COIL20.mat", help="the file COIL20.mat")
    parser.add_argument("--out", type=Path, default=Path("coil20"), help="folder to write to (default: coil20)")
    parser.add_argument("--every", type=int, default=15, help="degrees between turntable positions (default: 15)")
    parser.add_argument(
        "--cameras", type=int, nargs="+", default=[0, 15, 30, 45, 60], help="degrees (default: 0 15 30 45 60)"
    )
    arguments = parser.parse_args()
    if not arguments.mat.is_file():
        sys.exit(f"{arguments.mat}: no such file; give --mat, or set AVSSL_SHARED")
    if any(angle % STEP for angle in arguments.cameras) or not 0 < arguments.every <= 360 or arguments.every % STEP:
        sys.exit(f"--every and --cameras: allowed are multiples of {STEP} degrees")
    pictures = read_coil20(arguments.mat)
    for number, turns in enumerate(pictures, start=1):
        for view, picture in enumerate(turns):
            write(picture, arguments.out / "views" / f"{number:02d}" / f"{STEP * view:03d}.png")
        for position in range(0, 360, arguments.every):
            for camera in arguments.cameras:
                seen = turns[(position + camera) % 360 // STEP]
                write(seen, arguments.out / "rig" / f"{number:02d}_{position:03d}" / f"{camera:03d}.png")
    instances = OBJECTS * len(range(0, 360, arguments.every))
    print(f"{arguments.out}/rig: {instances} instances of {len(arguments.cameras)} cameras")
    print(f"{arguments.out}/views: {OBJECTS * VIEWS} pictures of {OBJECTS} objects")


if __name__ == "__main__":
    main()
