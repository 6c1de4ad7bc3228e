"""One contract for all decoders, over real files; what one of them cannot do is refused, by name."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
from whole_files import all_frames, all_samples, start_s

from avssl.data.clip_files import VideoFolder
from avssl.data.clips import ClipDataset, VideoView
from avssl.data.decode.media import DecodeError
from avssl.data.decode.opened import open_streams
from avssl.data.decode.readers import DECODERS, audio, check_decoder, frames, open_reader
from avssl.data.decode.sound import resample
from avssl.data.manifest import Manifest
from avssl.data.scan import describe
from avssl.data.stream.samples import Broken, ClipKey, Sample
from avssl.types import UserError

OTHERS = ("torchcodec", "decord")
PICTURES = [
    *("natural/boat.mp4", "natural/applausing.mp4", "grid/brbk7n.mpg", "rig4/cam1/video.avi"),
    *("odd_media/nasa_13013.mp4", "odd_media/nasa_13013_rotated.mp4", "odd_media/test_non_zero_start.mp4"),
    *("odd_media/h264_10bits.mp4", "odd_media/h265_video.mp4", "odd_media/av1_video.mkv", "odd_media/test.avi"),
    *("odd_media/video_90.mov", "odd_media/video_270.mov", "odd_media/sine_stereo_mp2.mpg"),
    *("odd_media/no_duration.webm", "odd_media/pigs_in_a_polka.gif", "odd_media/bt601_full_range.mp4"),
    *("odd_media/dummy_video.mov", "odd_media/transparent.webm", "odd_media/-video-with-dash-.mp4"),
]
CANNOT = {
    ("torchcodec", "grid/brbk7n.mpg"): "frames in mpeg",
    ("torchcodec", "odd_media/sine_stereo_mp2.mpg"): "frames in mpeg",
    ("torchcodec", "rig4/cam1/video.avi"): "frames in avi",
    ("torchcodec", "odd_media/test.avi"): "frames in avi",
    ("decord", "grid/brbk7n.mpg"): "mpeg1video in mpeg",
    ("decord", "odd_media/sine_stereo_mp2.mpg"): "mpeg1video in mpeg",
    ("decord", "rig4/cam1/video.avi"): "mpeg4 in avi",
    ("decord", "odd_media/test.avi"): "mpeg4 in avi",
    ("decord", "odd_media/h265_video.mp4"): "hevc in mov",
    ("decord", "odd_media/av1_video.mkv"): "libdav1d in matroska",
    ("decord", "odd_media/pigs_in_a_polka.gif"): "gif in gif",
    ("decord", "odd_media/nasa_13013.mp4"): "which video stream",
    ("decord", "odd_media/no_duration.webm"): "Failed to measure duration",
    ("decord", "odd_media/-video-with-dash-.mp4"): "size must exactly match",  # 1 x 1 pixels
}
"""What a decoder refuses to read pictures of, and why."""
SOUND = [
    *("natural/boat.mp4", "grid/brbk7n.mpg", "odd_media/nasa_13013.mp4", "odd_media/dummy_video.mov"),
    *("odd_media/sine_stereo_mp2.mpg", "odd_media/sine_mono_s24.wav", "odd_media/sine_mono_u8.wav"),
    *("odd_media/with-attached-pic.mp3", "odd_media/sine_mono_mp3.swf", "odd_media/no_duration.webm"),
    *("odd_media/big_buck_bunny_432_433.webm", "odd_media/test.avi", "odd_media/transparent.webm"),
]


@lru_cache(maxsize=2)
def whole_pictures(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in s from the start of the earliest stream, and pictures with one pixel in 16 kept of the large ones."""
    file = open_streams(path)
    times, pictures = all_frames(path)
    file.container.close()
    return np.array(times) - float(file.origin), np.stack([thinned(picture) for picture in pictures]).astype(np.int16)


def thinned(picture: np.ndarray) -> np.ndarray:
    return picture[::4, ::4] if min(picture.shape[:2]) > 64 else picture


@pytest.mark.needs_shared
@pytest.mark.parametrize(("name", "decoder"), [(name, decoder) for name in PICTURES for decoder in DECODERS])
def test_every_decoder_gives_the_frame_played_at_a_time_or_refuses(shared: Path, name: str, decoder: str) -> None:
    path = shared / "data" / name
    with open_reader(path, decoder) as reader:
        if why := CANNOT.get((decoder, name)):
            with pytest.raises(DecodeError, match=f"{decoder}.*{why}.*; allowed: decoder=av"):
                reader.frames([0.0])
            return
        times, pictures = whole_pictures(path)
        draw = random.Random(0)
        asked = [draw.uniform(-0.2, times[-1] + 0.3) for _ in range(12)]
        asked += [times[0], times[len(times) // 2], times[-1], times[-1] + 100]
        got = [thinned(picture).astype(np.int16) for picture in reader.frames(asked).permute(0, 2, 3, 1).numpy()]
        assert reader.frames(asked[:2], 48).shape[2:] == reader_size(path, 48)
    for time, picture in zip(asked, got, strict=True):
        right = max(int((times <= time + 1e-6).sum()) - 1, 0)
        near = range(max(right - 8, 0), min(right + 9, len(times)))
        distances = {i: np.abs(picture - pictures[i]).mean() for i in near}
        assert distances[right] == min(distances.values()), f"at {time} s: not frame {right}"
        assert distances[right] < 4, f"at {time} s"  # of 255; decoders round 10 bits and colours each their way


def reader_size(path: Path, short_side: int) -> tuple[int, int]:
    return tuple(frames(path, [0.0], short_side).shape[2:])


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", SOUND)
def test_torchcodec_gives_the_same_sound(shared: Path, name: str) -> None:
    path = shared / "data" / name
    whole, rate = all_samples(path)
    with open_reader(path, "torchcodec") as reader:
        file = reader._file
        late = start_s(file.audio) - float(file.origin)
        for rate_hz in (rate, 24_000):
            resampled = resample(whole, rate, rate_hz)
            for start in (-0.3, 0.4, 0.6 * len(whole) / rate, len(whole) / rate - 0.3, len(whole) / rate + 3):
                got = reader.audio(start, 0.7, rate_hz)[0].numpy()
                first = round((start - late) * rate_hz)
                expected = [resampled[i] if 0 <= i < len(resampled) else 0.0 for i in range(first, first + len(got))]
                np.testing.assert_allclose(got, np.array(expected), atol=1e-4, err_msg=f"{start} s, {rate_hz} Hz")


@pytest.mark.needs_shared
def test_sound_that_a_decoder_leaves_out_is_refused(shared: Path) -> None:
    path = shared / "data" / "natural" / "applausing.mp4"
    assert audio(path, 0.01, 0.04, 44_100).any()
    with pytest.raises(DecodeError, match=r"torchcodec leaves out sound between 0.000 and .*; allowed: decoder=av"):
        audio(path, 0.0, 0.5, 44_100, decoder="torchcodec")


@pytest.mark.needs_shared
def test_decord_s_own_sound_is_still_no_match(shared: Path) -> None:
    """Why `decoder=decord` reads sound with PyAV: the day this fails, decord's own may do."""
    import decord

    path = shared / "data" / "natural" / "boat.mp4"
    whole, _ = all_samples(path)
    own = decord.AudioReader(str(path), ctx=decord.cpu(0), sample_rate=-1, mono=True)[:].asnumpy()[0]
    assert np.abs(own - whole).max() > 0.1
    np.testing.assert_array_equal(audio(path, 1.0, 0.5, 24_000, decoder="decord"), audio(path, 1.0, 0.5, 24_000))


@pytest.mark.needs_shared
def test_decord_still_finds_other_frames_of_hevc(shared: Path) -> None:
    import decord

    path = shared / "data" / "odd_media" / "h265_video.mp4"
    _, pictures = whole_pictures(path)
    own = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)[3].asnumpy()
    assert np.abs(thinned(own).astype(np.int16) - pictures[3]).mean() > np.abs(thinned(own) - pictures[4]).mean()


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames at 0-0.9 s and 3-3.9 s whose grey tells their number; sound at 0-1 s and 2-3 s."""
    path = tmp_path_factory.mktemp("gaps") / "gaps.mkv"
    sound = np.random.default_rng(0).integers(-9999, 9999, (2, 1, 16_000)).astype(np.int16)
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=10, options={"crf": "10"})
        video.width, video.height, video.pix_fmt, video.time_base = 64, 48, "yuv420p", Fraction(1, 1000)
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for part in range(2):
            for i in range(10):
                picture = np.full((48, 64, 3), 20 + 10 * (10 * part + i), np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = 3000 * part + 100 * i, Fraction(1, 1000)
                container.mux(video.encode(frame))
            for begin in range(0, 16_000, 1600):
                samples = av.AudioFrame.from_ndarray(sound[part][:, begin : begin + 1600], "s16", "mono")
                samples.sample_rate, samples.pts = 16_000, 32_000 * part + begin
                container.mux(stream.encode(samples))
        container.mux(video.encode())
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_frame_before_a_gap_is_played_until_it_ends(gaps: Path, decoder: str) -> None:
    times = [-1.0, 0.0, 0.95, 2.0, 2.999, 3.0, 3.25, 3.9, 9.0]
    got = frames(gaps, times, decoder=decoder).float().mean((1, 2, 3))
    numbers = [round((float(grey) - 20) / 10) for grey in got]
    assert numbers == [0, 0, 9, 9, 9, 10, 12, 19, 19]


@pytest.mark.parametrize("decoder", ["av", "decord"])
def test_a_gap_in_the_sound_is_silent(gaps: Path, decoder: str) -> None:
    got = audio(gaps, 0.5, 2.0, 16_000, decoder=decoder)[0]
    assert got[:8000].abs().min() >= 0
    assert got[:8000].std() > 0.1
    assert not got[8000:24_000].any()
    assert got[24_000:].std() > 0.1


def test_torchcodec_refuses_sound_with_a_gap(gaps: Path) -> None:
    whole = audio(gaps, 0.0, 0.9, 16_000)
    np.testing.assert_array_equal(audio(gaps, 0.0, 0.9, 16_000, decoder="torchcodec"), whole)
    for start in (0.5, 2.2):
        with pytest.raises(DecodeError, match="torchcodec leaves out sound"):
            audio(gaps, start, 0.7, 16_000, decoder="torchcodec")


def test_a_wrong_decoder_is_one_line() -> None:
    view = VideoView(train=lambda pixels: pixels, eval=lambda pixels: pixels)
    with pytest.raises(UserError, match=r"^decoder='opencv'; allowed: av, torchcodec, decord$"):
        VideoFolder(None, {"video": view}, decoder="opencv")
    with pytest.raises(UserError, match="allowed: av, torchcodec, decord"):
        open_reader("x.mp4", "opencv")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "decord", raising=False)
    with pytest.raises(UserError, match=r"decoder=decord: not installed; .*pip install 'avssl\[decord\]'"):
        check_decoder("decord")


@pytest.mark.needs_shared
@pytest.mark.parametrize("decoder", DECODERS)
def test_clips_are_read_with_the_decoder_of_the_source(shared: Path, decoder: str) -> None:
    """The one it cannot read is reported with the reason, and no other decoder takes its place."""
    root = shared / "data" / "odd_media"
    rows = [describe(root, name) for name in ("bt601_full_range.mp4", "h265_video.mp4")]
    view = VideoView(frames=2, short_side=48, train=lambda pixels: pixels, eval=lambda pixels: pixels)
    source = VideoFolder(None, {"video": view}, decoder=decoder)
    dataset = source.eval_set(source.embeddable(Manifest.of(root, rows)).files, 1)
    assert isinstance(dataset, ClipDataset)
    samples = [dataset[ClipKey(0, row, 0)] for row in range(2)]
    assert isinstance(samples[0], Sample)
    assert samples[0].views["video"].shape == (2, 3, 48, 64)
    assert isinstance(samples[1], Broken) == (decoder == "decord")
