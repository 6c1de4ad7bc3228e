"""Videos to measure decoding on: drifting textures and blobs with a noisy sound, h264 with one key frame in 250."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

FPS, GOP, RATE_HZ = 30, 250, 44_100


def generated(folder: Path, height: int, seconds: int) -> Path:
    """A file of that height, 16 : 9; made where it is not in the folder yet."""
    path = folder / f"textures_{height}p_{seconds}s_gop{GOP}.mp4"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.mp4")
        _write(unfinished, height, seconds)
        unfinished.replace(path)
    return path


def _write(path: Path, height: int, seconds: int) -> None:
    width = 16 * height // 9 // 2 * 2
    with av.open(path, "w") as container:
        options = {"preset": "faster", "crf": "26", "g": str(GOP), "keyint_min": str(GOP), "sc_threshold": "0"}
        video: VideoStream = container.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio: AudioStream = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
        scene = Scene(width, height)
        for second in range(seconds):
            for number in range(second * FPS, (second + 1) * FPS):
                frame = av.VideoFrame.from_ndarray(scene.picture(number / FPS), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                container.mux(video.encode(frame))
            sound = av.AudioFrame.from_ndarray(_sound(second), format="fltp", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = RATE_HZ, second * RATE_HZ, Fraction(1, RATE_HZ)
            container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())


class Scene:
    """Two textures with the spectrum of natural pictures that drift apart, blobs that circle, and a camera's noise."""

    def __init__(self, width: int, height: int) -> None:
        self._draw = np.random.default_rng(0)
        self._width, self._height = width, height
        self._far, self._near = (self._texture() for _ in range(2))
        self._y, self._x = np.mgrid[:height, :width].astype(np.float32) / height

    def picture(self, time_s: float) -> np.ndarray:
        """RGB uint8 [h w 3]."""
        near = self._window(self._near, 90 * time_s, 25 * np.sin(time_s))
        mask = self._window(self._near[..., :1], 90 * time_s + 300, 25 * np.sin(time_s)) > 0.55
        image = np.where(mask, near, self._window(self._far, -20 * time_s, 8 * time_s))
        for blob in range(4):
            angle = time_s * (0.7 + 0.4 * blob) + blob
            x, y = 0.9 + 0.6 * np.cos(angle), 0.5 + 0.35 * np.sin(1.3 * angle)
            light = np.exp(-((self._x - x) ** 2 + (self._y - y) ** 2) / 0.006)[..., None]
            image = image * (1 - light) + light * np.roll([0.9, 0.5, 0.2], blob)
        noise = self._draw.standard_normal((self._height, self._width, 1), np.float32) * 0.003
        return (np.clip(image + noise, 0, 1) * 255).astype(np.uint8)

    def _texture(self) -> np.ndarray:
        """Colour noise of amplitude 1 / frequency, twice the picture's size, that wraps around."""
        h, w = 2 * self._height, 2 * self._width
        frequency = np.hypot(np.fft.fftfreq(h)[:, None] * h, np.fft.rfftfreq(w)[None] * w) + 1
        spectrum = np.fft.rfft2(self._draw.standard_normal((3, h, w))) / frequency**1.2
        texture = np.fft.irfft2(spectrum, (h, w)).transpose(1, 2, 0)
        texture = 0.7 * texture + 0.3 * texture.mean(2, keepdims=True)
        return np.clip(0.5 + 0.2 * (texture - texture.mean()) / texture.std(), 0, 1).astype(np.float32)

    def _window(self, texture: np.ndarray, x: float, y: float) -> np.ndarray:
        """The picture's size of a texture from (x, y) on, in pixels of a picture 360 high."""
        scale = self._height / 360
        rows = (np.arange(self._height) + round(y * scale)) % texture.shape[0]
        columns = (np.arange(self._width) + round(x * scale)) % texture.shape[1]
        return texture[rows[:, None], columns]


def _sound(second: int) -> np.ndarray:
    """A second of two tones in noise, float32 [2 n]."""
    time = np.arange(RATE_HZ) / RATE_HZ
    tones = 0.2 * np.sin(2 * np.pi * (220 + 40 * second) * time) + 0.1 * np.sin(2 * np.pi * 1760 * time)
    noise = 0.05 * np.random.default_rng(second).standard_normal((2, RATE_HZ))
    return (tones + noise).astype(np.float32)
