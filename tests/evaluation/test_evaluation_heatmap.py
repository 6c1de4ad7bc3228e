"""Spectrograms as pictures."""

from __future__ import annotations

import torch
from torchvision.io import ImageReadMode, decode_image

from avssl.evaluation.heatmap import heatmap, jpeg, png


def test_a_row_is_a_frequency_and_the_first_is_at_the_bottom():
    image = heatmap(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.5, 2.0]]))
    assert image.shape == (3, 2, 3)
    assert image[:, 1].T.tolist() == [[0, 0, 4]] * 3
    assert image[:, 0, 2].tolist() == [252, 253, 191]


def test_louder_is_brighter_and_what_lies_outside_has_the_color_of_the_end():
    ramp = torch.linspace(-1, 2, 301)[None]
    brightness = heatmap(ramp, 0.0, 1.0)[:, 0].float().mean(0)
    assert (brightness.diff() >= 0).all()
    assert len(set(brightness[:101].tolist())) == 1
    assert len(set(brightness[200:].tolist())) == 1


def test_the_colors_are_magmas():
    import matplotlib as mpl

    expected = torch.tensor(mpl.colormaps["magma"].colors).T[:, None] * 255  # pyright: ignore
    got = heatmap(torch.arange(256.0)[None])
    assert float((got - expected).abs().max()) < 3


def test_silence_and_equal_levels_are_a_picture():
    assert heatmap(torch.zeros(4, 5)).shape == (3, 4, 5)


def test_files_are_what_browsers_read():
    image = heatmap(torch.rand(8, 9))
    assert decode_image(torch.frombuffer(bytearray(png(image)), dtype=torch.uint8), ImageReadMode.RGB).equal(image)
    back = decode_image(torch.frombuffer(bytearray(jpeg(image, 95)), dtype=torch.uint8))
    assert back.shape == image.shape
