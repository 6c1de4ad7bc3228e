"""Facts of files: what the times say, how loud and how still they are, and where they break."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avssl.data.decode.info import MediaInfo
from avssl.data.decode.levels import Motion
from avssl.data.decode.measure import measure
from avssl.data.decode.media import DecodeError
from avssl.data.decode.media_probe import probe
from avssl.data.encode import write_clip

NOISE = np.random.default_rng(0)


def pictures(count: int, side: int = 48, change: int = 255) -> np.ndarray:
    """RGB noise that changes from frame to frame by as much as `change`."""
    still = NOISE.integers(0, 256 - change, (1, side, side, 3), np.uint8)
    return still + NOISE.integers(0, change + 1, (count, 1, 1, 1), np.uint8)


def sounds(*levels: float, rate_hz: int = 8000) -> np.ndarray:
    """A second of noise of each RMS."""
    return np.concatenate([NOISE.normal(0, level, rate_hz) for level in levels]).astype(np.float32)


def decoded(path: Path) -> MediaInfo:
    return measure(path, probe(path))


def write_times(
    path: Path, codec: str, times: Sequence[float], declared_fps: int, tick: Fraction, b_frames: int = 0
) -> None:
    """A video whose frames are at these times in s, while its header speaks of another rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=declared_fps, options={"bf": str(b_frames)})
        stream.height = stream.width = 48
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = tick
        for time, picture in zip(times, pictures(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = round(time / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.mov"])
@pytest.mark.parametrize("count", [12, 120])
def test_the_rate_is_that_of_the_frames_times(tmp_path: Path, name: str, count: int) -> None:
    path = tmp_path / name
    write_times(path, "libx264", [0.08 * i for i in range(count)], 50, Fraction(1, 1000), b_frames=3)
    assert math.isclose(probe(path).fps, 12.5, rel_tol=1e-6)
    info = decoded(path)
    assert math.isclose(info.fps, 12.5, rel_tol=1e-6)
    assert info.frames == count


def test_frames_at_uneven_times_have_a_mean_rate(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.9, 1.0, 2.5]
    for name in ("x.mp4", "x.mkv"):
        write_times(tmp_path / name, "libx264", times, 30, Fraction(1, 1000))
        for info in (probe(tmp_path / name), decoded(tmp_path / name)):
            assert math.isclose(info.fps, 5 / 2.5, rel_tol=1e-6), name


def test_an_avi_has_the_rate_of_its_header(tmp_path: Path) -> None:
    write_times(tmp_path / "x.avi", "mpeg4", [i / 20 for i in range(40)], 20, Fraction(1, 20))
    for info in (probe(tmp_path / "x.avi"), decoded(tmp_path / "x.avi")):
        assert (info.container, info.fps, info.frames) == ("avi", 20.0, 40)


def test_loudness_is_the_loudest_seconds(tmp_path: Path) -> None:
    samples = sounds(0.01, 0.1, 0.001)
    write_wav(tmp_path / "x.wav", samples)
    quantised = np.round(samples * 2**15) / 2**15
    seconds = [math.sqrt(sum(float(x) ** 2 for x in quantised[i * 8000 : (i + 1) * 8000]) / 8000) for i in range(3)]
    assert math.isclose(decoded(tmp_path / "x.wav").loudness_db or 0, 20 * math.log10(max(seconds)), abs_tol=1e-3)
    write_wav(tmp_path / "short.wav", samples[:800])
    level = math.sqrt(sum(float(x) ** 2 for x in quantised[:800]) / 800)
    assert math.isclose(decoded(tmp_path / "short.wav").loudness_db or 0, 20 * math.log10(level), abs_tol=1e-3)
    write_wav(tmp_path / "nothing.wav", np.zeros(8000, np.float32))
    assert decoded(tmp_path / "nothing.wav").loudness_db == -120.0


def write_wav(path: Path, samples: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.round(samples * 2**15).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_motion_is_the_change_of_grey_in_a_quarter_of_a_second() -> None:
    greys = [10, 200, 60, 61, 0, 100, 30]
    times = [0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 0.8]  # at 0, 0.25, 0.5 and 0.75 s: 10, 60, 0, 100
    motion = Motion()
    for grey, time in zip(greys, times, strict=True):
        motion.add(av.VideoFrame.from_ndarray(np.full((64, 64), grey, np.uint8), "gray"), time)
    assert math.isclose(motion.grey(), (50 + 60 + 100) / 3)
    short = Motion()
    for grey, time in ((7, 0.0), (90, 0.05), (12, 0.1)):
        short.add(av.VideoFrame.from_ndarray(np.full((64, 64), grey, np.uint8), "gray"), time)
    assert short.grey() == 5


def test_a_still_picture_is_told_from_a_quiet_scene(tmp_path: Path) -> None:
    write_clip(tmp_path / "still.mp4", pictures(1).repeat(30, 0), 10, None, 0, crf=30)
    write_clip(tmp_path / "quiet.mp4", pictures(30, change=4), 10, None, 0, crf=30)
    still, quiet = (decoded(tmp_path / name).motion for name in ("still.mp4", "quiet.mp4"))
    assert still is not None
    assert quiet is not None
    assert still < 0.1 < quiet


def test_an_error_is_told_with_its_stream_and_time(tmp_path: Path) -> None:
    write_clip(tmp_path / "good.mp4", pictures(40), 10, sounds(0.1, 0.1, 0.1, 0.1), 8000, gop=1)
    assert (decoded(tmp_path / "good.mp4").video_error_s, decoded(tmp_path / "good.mp4").detail) == (None, "")
    data = bytearray((tmp_path / "good.mp4").read_bytes())
    with av.open(str(tmp_path / "good.mp4")) as container:
        entry = container.streams.video[0].index_entries[25]
    data[entry.pos : entry.pos + entry.size] = b"\xff" * entry.size
    (tmp_path / "bad.mp4").write_bytes(data)
    assert probe(tmp_path / "bad.mp4").video_error_s is None
    info = decoded(tmp_path / "bad.mp4")
    assert info.audio_error_s is None
    assert info.video_error_s is not None
    assert math.isclose(info.video_error_s, 2.5, abs_tol=0.101)  # the decoder may hold a frame back
    assert info.detail.startswith(f"video at {info.video_error_s:.2f} s: Invalid data")


def test_a_stream_that_gives_no_frame_is_an_error_of_that_stream(tmp_path: Path) -> None:
    write_clip(tmp_path / "good.mp4", pictures(20), 10, sounds(0.1, 0.1), 8000)
    data = bytearray((tmp_path / "good.mp4").read_bytes())
    with av.open(str(tmp_path / "good.mp4")) as container:
        video, audio = (container.streams.video[0].index_entries, container.streams.audio[0].index_entries)
        for entry in video:
            data[entry.pos : entry.pos + entry.size] = b"\xff" * entry.size
        (tmp_path / "blind.mp4").write_bytes(data)
        for entry in audio:
            data[entry.pos : entry.pos + entry.size] = b"\xff" * entry.size
        (tmp_path / "dead.mp4").write_bytes(data)
    for info in (probe(tmp_path / "blind.mp4"), decoded(tmp_path / "blind.mp4")):
        assert info.has_video
        assert (info.video_error_s, info.audio_error_s) == (0.0, None)
        assert info.detail.startswith("video at 0.00 s: ")
    with pytest.raises(DecodeError):
        probe(tmp_path / "dead.mp4")


def test_a_recording_that_breaks_off_is_an_error_where_it_does(tmp_path: Path) -> None:
    write_times(tmp_path / "good.mkv", "libx264", [i / 10 for i in range(100)], 10, Fraction(1, 1000))
    assert decoded(tmp_path / "good.mkv").video_error_s is None
    data = (tmp_path / "good.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    info = decoded(tmp_path / "cut.mkv")
    assert info.video_error_s is not None
    assert 2 < info.video_error_s < 8
    assert math.isclose(info.video_error_s, info.frames / 10, abs_tol=1e-6)


def write_beside(path: Path, seconds: int, sound_s: int, other_s: int) -> None:
    """A video with sound, and a second, longer track of sound that no reader chooses."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"g": "1"})
        video.height, video.width, video.pix_fmt = 48, 48, "yuv420p"
        tracks = [container.add_stream("aac", rate=8000, layout=layout) for layout in ("stereo", "mono")]
        for picture in pictures(10 * seconds):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(video.encode())
        for track, length_s in zip(tracks, (sound_s, other_s), strict=True):
            channels = len(track.layout.channels)
            samples = np.tile(sounds(0.1), (channels, length_s)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", track.layout.name)
            frame.sample_rate, frame.pts = 8000, 0
            container.mux(track.encode(frame))
            container.mux(track.encode())


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv"])
def test_a_longer_track_that_is_not_used_is_no_error(tmp_path: Path, name: str) -> None:
    write_beside(tmp_path / name, 3, 3, 6)
    info = decoded(tmp_path / name)
    assert (info.channels, info.video_error_s, info.audio_error_s, info.detail) == (2, None, None, "")
    for duration_s in (info.video_duration_s, info.audio_duration_s, info.duration_s):
        assert math.isclose(duration_s, 3, abs_tol=0.3)


def test_a_duration_that_is_the_whole_containers_is_measured(tmp_path: Path) -> None:
    write_clip(tmp_path / "x.mp4", pictures(50), 10, sounds(0.1, 0.1), 8000)
    with av.open(str(tmp_path / "x.mp4")) as source, av.open(str(tmp_path / "x.mkv"), "w") as copy:
        copies = {stream.index: copy.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                copy.mux(packet)
    assert math.isclose(probe(tmp_path / "x.mkv").audio_duration_s, 5, abs_tol=0.2)
    info = decoded(tmp_path / "x.mkv")
    assert math.isclose(info.audio_duration_s, 2, abs_tol=0.2)
    assert math.isclose(info.video_duration_s, 5, abs_tol=0.2)
    assert (info.video_error_s, info.audio_error_s) == (None, None)


def test_without_a_decoder_the_stream_is_named_and_the_other_used(tmp_path: Path) -> None:
    write_clip(tmp_path / "good.mp4", pictures(20), 10, sounds(0.1, 0.1), 8000)
    (tmp_path / "odd.mp4").write_bytes((tmp_path / "good.mp4").read_bytes().replace(b"avc1", b"zzzz"))
    for info in (probe(tmp_path / "odd.mp4"), decoded(tmp_path / "odd.mp4")):
        assert (info.has_video, info.video_codec, info.has_audio) == (False, "unsupported", True)
        assert info.detail == "no decoder for its video"
        assert math.isclose(info.duration_s, 2.0, abs_tol=0.2)


@pytest.mark.needs_shared
def test_decoding_tells_durations_that_the_header_does_not(shared: Path) -> None:
    path = shared / "data" / "odd_media" / "no_duration.webm"
    assert probe(path).duration_s == 0
    info = decoded(path)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert info.frames == len(frames)
    assert math.isclose(info.video_duration_s, float(frames[-1].time or 0) + 1 / 15, abs_tol=0.01)
    assert info.duration_s > 4.8


@pytest.mark.needs_shared
def test_the_first_error_of_a_real_broken_file(shared: Path) -> None:
    info = decoded(shared / "data" / "odd_media" / "corrupted.mp4")
    assert info.detail == "video at 2.80 s: Invalid data found when processing input"
    assert info.frames == 28


@pytest.mark.needs_shared
def test_rates_of_real_files_by_their_first_packets_are_those_of_all_frames(shared: Path) -> None:
    for name in ("grid/brbk7n.mpg", "natural/boat.mp4", "odd_media/test.avi", "odd_media/av1_video.mkv"):
        info = probe(shared / "data" / name)
        assert math.isclose(info.fps, decoded(shared / "data" / name).fps, rel_tol=1e-3), name
