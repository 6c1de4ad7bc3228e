"""Pictures of every kind are read alike, and become augmentations and crops."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
import torch
from cameras_data import write_level
from torchvision.io import write_jpeg, write_png

from avssl.cli.compose import compose
from avssl.cli.training import make_source
from avssl.data.decode.image import read_image
from avssl.data.decode.media import DecodeError
from avssl.data.images import ImageFolder
from avssl.data.pictures import ImageView
from avssl.data.source import by_branch
from avssl.data.stream.samples import ClipKey, Sample
from avssl.data.transforms.image import ImageEval, ImageTrain

STILL = {"flip": 0.0, "jitter": [0.0, 0.0, 0.0, 0.0], "grey": 0.0, "blur": 0.0, "mean": [0.0] * 3, "std": [1.0] * 3}


def picture(height: int = 20, width: int = 30) -> torch.Tensor:
    """Each channel a ramp of its own."""
    y, x = torch.arange(height)[:, None] * 255 // height, torch.arange(width) * 255 // width
    return torch.stack([y.expand(height, width), x.expand(height, width), (x + y) // 2]).to(torch.uint8)


def png_of_16_bits(file: Path, grey: torch.Tensor) -> None:
    """torchvision does not write these."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"".join(struct.pack(">H", 257 * int(v)) for v in row) for row in grey)
    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 16, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_colour_grey_and_16_bits_are_read_as_rgb_of_8(tmp_path: Path):
    image = picture()
    write_png(image, str(tmp_path / "rgb.png"))
    write_png(image[:1], str(tmp_path / "grey.png"))
    png_of_16_bits(tmp_path / "deep.png", image[0])
    write_jpeg(image, str(tmp_path / "rgb.jpg"), quality=95)
    assert read_image(tmp_path / "rgb.png").equal(image)
    assert read_image(tmp_path / "grey.png").equal(image[:1].expand(3, -1, -1))
    assert read_image(tmp_path / "deep.png").equal(image[:1].expand(3, -1, -1))
    assert (read_image(tmp_path / "rgb.jpg").int() - image.int()).abs().float().mean() < 3
    assert read_image(tmp_path / "rgb.png", 10).shape == (3, 10, 15)
    assert read_image(tmp_path / "rgb.png", 40).shape == (3, 20, 30)  # never enlarged


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path):
    write_jpeg(picture(16, 32), str(tmp_path / "plain.jpg"), quality=95)
    data = (tmp_path / "plain.jpg").read_bytes()
    turned = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # orientation 6: a quarter clockwise
    body = b"Exif\0\0" + turned
    (tmp_path / "turned.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])
    assert read_image(tmp_path / "turned.jpg").equal(read_image(tmp_path / "plain.jpg").rot90(-1, (1, 2)))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.png", None, "a broken PNG: image file is truncated"),
        ("cut.jpg", None, "truncated"),
        ("text.png", b"hello", "Unsupported image file"),
        ("empty.png", b"", "an empty file"),
        ("gone.png", ..., "No such file"),
    ],
)
def test_a_broken_picture_is_named_with_the_reason(tmp_path: Path, name: str, content, reason: str):
    file = tmp_path / name
    if content is None:
        (write_png if name.endswith("png") else write_jpeg)(picture(), str(file))
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif content is not ...:
        file.write_bytes(content)
    with pytest.raises(DecodeError, match=f"{name}: .*{reason}"):
        read_image(file)


def test_the_evaluation_transform_is_resize_crop_and_normalise():
    image = picture(40, 80)
    seen = ImageEval(20, mean=[0.5, 0.5, 0.5], std=[0.25, 0.5, 1.0])(image)
    assert seen.shape == (3, 20, 20)
    assert seen.mean(dim=(1, 2)).tolist() == pytest.approx([-0.05, -0.02, 0.0], abs=0.05)  # ramps end below 255
    assert seen[1, 0].diff().mean() == pytest.approx(2 / 40, rel=0.1)  # the middle half of the wide ramp, over 0.5


def test_each_augmentation_does_what_it_says():
    image = torch.randint(0, 255, (3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = {**STILL, "area": [1.0, 1.0], "ratio": [1.0, 1.0]}
    plain = image.float() / 255
    torch.manual_seed(0)
    assert ImageTrain(32, **whole)(image).allclose(plain, atol=1e-6)
    assert ImageTrain(32, **whole | {"flip": 1.0})(image).allclose(plain.flip(2), atol=1e-6)
    grey = ImageTrain(32, **whole | {"grey": 1.0})(image)
    assert grey[0].equal(grey[1])
    assert ImageTrain(32, **whole | {"blur": 1.0, "sigma": [2.0, 2.0]})(image).std() < 0.5 * plain.std()
    solar = ImageTrain(32, **whole | {"solarize": 1.0})(image)
    assert solar.allclose(torch.where(image < 128, plain, 1 - plain), atol=1e-6)
    jittered = [ImageTrain(32, **whole | {"jitter": [0.8, 0.0, 0.0, 0.0]}, jitter_share=1.0)(image) for _ in range(20)]
    means = torch.stack([x.mean() for x in jittered]) / plain.mean()
    assert means.std() > 0.1
    assert ((means > 0.15) & (means < 1.85)).all()


def test_crops_have_the_asked_share_of_the_picture():
    ramp = torch.arange(64)[:, None] * 64 + torch.arange(64)  # the value tells the place
    image = torch.stack([ramp // 256, ramp % 256, ramp % 256]).to(torch.uint8)
    torch.manual_seed(0)
    sides = []
    for _ in range(50):
        crop = ImageTrain(64, **{**STILL, "area": [0.1, 0.3], "ratio": [1.0, 1.0]})(image)[0] * 255
        sides.append(float(crop.amax() - crop.amin()) * 4)  # rows: four to a value
    assert 64 * 0.3**0.5 + 6 >= max(sides) > 28
    assert min(sides) < 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("x", "y"):
        for n in range(3):
            write_png(picture(24 + n, 32 + ord(label) % 7), str(tmp_path / f"{label}{n}.png"))
            (tmp_path / label).mkdir(exist_ok=True)
            (tmp_path / f"{label}{n}.png").rename(tmp_path / label / f"{n}.png")
    return tmp_path


def test_each_picture_is_an_instance_with_its_folder_as_label(folder: Path):
    (folder / "y" / "copy.png").write_bytes((folder / "x" / "0.png").read_bytes())
    (folder / "y" / "bad.png").write_bytes(b"bad")
    source = ImageFolder(None, {"image/0": ImageView(train=ImageTrain(8), eval=ImageEval(8))})
    usable, left_out = source.trainable(source.at(folder).find())
    assert usable.ids == [f"{label}/{n}.png" for label in "xy" for n in range(3)]
    assert usable.column("label") == ["x"] * 3 + ["y"] * 3
    assert {row["path"]: row["reason"].partition(":")[0] for row in left_out} == {
        "y/copy.png": "duplicate",
        "y/bad.png": "unreadable",
    }
    table = source.eval_set(usable, 1).files()
    assert table["id"].to_pylist() == table["path"].to_pylist() == usable.ids


def test_a_manifest_lists_pictures_and_labels(folder: Path, tmp_path: Path):
    (tmp_path / "some.csv").write_text("path,label\ny/0.png,7\nx/1.png,8\n")
    source = ImageFolder(None, {"image/0": ImageView(train=ImageTrain(8), eval=ImageEval(8))})
    files = source.at(folder, tmp_path / "some.csv").find()
    assert dict(zip(files.ids, files.column("label"), strict=True)) == {"x/1.png": "8", "y/0.png": "7"}


def config(*overrides: str):
    return compose("train", [*overrides, "name=test", "data.root=somewhere"])


@pytest.mark.parametrize("data", ["images", "multicrop"])
def test_views_are_augmented_by_themselves_at_their_sizes(folder: Path, data: str):
    source = make_source(
        config(f"data={data}", "data.size=32", *(["data.local_size=16"] if data == "multicrop" else [])).data
    )
    files = source.trainable(source.at(folder).find()).files
    train = source.train_set(files, 0, 1)
    sample = train[ClipKey(0, 1, 0)]
    assert isinstance(sample, Sample)
    sizes = {name: tuple(view.shape) for name, view in sample.views.items()}
    large, small = (3, 32, 32), (3, 16, 16)
    expected = {
        "images": {"image/0": large, "image/1": large},
        "multicrop": {
            **{"image/global0": large, "image/global1": large},
            **{f"image/local{n}": small for n in range(4)},
        },
    }
    assert sizes == expected[data]
    first, second, *_ = sample.views.values()
    assert not first.equal(second)
    again = train[ClipKey(0, 1, 0)]
    assert all(again.views[name].equal(view) for name, view in sample.views.items())
    assert not train[ClipKey(1, 1, 0)].views["image/0" if data == "images" else "image/local0"].equal(first)
    evaluated = source.eval_set(files, 1)[ClipKey(0, 1, 0)]
    assert list(evaluated.views) == ["image"]


def test_the_first_view_of_a_branch_stands_for_it():
    assert by_branch({"video/0": 1, "audio": 2, "video/1": 3}) == {"video": 1, "audio": 2}


def test_pictures_without_folder_have_no_label(tmp_path: Path):
    write_level(tmp_path / "a.png", 3)
    source = ImageFolder(None, {"image": ImageView(train=ImageTrain(8), eval=ImageEval(8))})
    assert source.at(tmp_path).find().column("label") == [""]
