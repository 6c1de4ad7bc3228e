"""Decoding held to a full decode of the same file, in plain loops."""

from __future__ import annotations

import math
import random
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from whole_files import all_frames, all_samples, start_s

from avssl.data.decode import pictures
from avssl.data.decode.media import DecodeError, open_media
from avssl.data.decode.pyav import Reader
from avssl.data.decode.readers import audio, frames, probe
from avssl.data.decode.sound import resample
from avssl.data.encode import write_clip

ODD = [
    *("nasa_13013.mp4", "nasa_13013_rotated.mp4", "test_non_zero_start.mp4", "h264_10bits.mp4", "h265_video.mp4"),
    *("test.avi", "sine_stereo_mp2.mpg", "video_90.mov", "transparent.webm", "bt601_full_range.mp4"),
    *("dummy_video.mov", "pigs_in_a_polka.gif", "-video-with-dash-.mp4", "with-attached-pic.mp3"),
    *("sine_16ch_s16.wav", "sine_mono_s24.wav", "sine_mono_u8.wav", "sine_mono_s32_44100.wav"),
]
OTHERS = ["grid/brbk7n.mpg", "natural/boat.mp4", "esc10/006 - Person sneeze/1-26143-A.ogg"]
LOOSE = ["odd_media/no_duration.webm", "odd_media/big_buck_bunny_432_433.webm", "esc10/001 - Dog bark/5-203128-A.ogg"]
"""Their time stamps are too coarse or too loose to tell a sample."""
FILES = [f"odd_media/{name}" for name in ODD] + OTHERS


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", FILES)
def test_the_frame_played_at_a_time_is_the_last_that_started(shared: Path, name: str) -> None:
    path = shared / "data" / name
    with Reader(path) as reader:
        if reader._file.video is None:
            with pytest.raises(DecodeError, match="no video stream"):
                reader.frames([0.0])
            return
        times, pictures = all_frames(path)
        origin = min(start_s(stream) for stream in (reader._file.video, reader._file.audio) if stream is not None)
        times = [time - origin for time in times]
        draw = random.Random(0)
        asked = [[draw.uniform(-0.2, times[-1] + 0.2) + i / 16 for i in range(6)] for _ in range(3)]
        asked += [draw.sample(times, min(5, len(times)))]  # exactly at a frame, and in no order
        for query in asked:
            got = reader.frames(query)
            for time, picture in zip(query, got, strict=True):
                played = pictures[0]
                for started, candidate in zip(times, pictures, strict=True):
                    if started <= time + 1e-6:
                        played = candidate
                np.testing.assert_array_equal(picture.permute(1, 2, 0).numpy(), played, err_msg=f"at {time} s")


@pytest.mark.needs_shared
@pytest.mark.parametrize("name", [*(name for name in FILES if "sine_16ch" not in name), *LOOSE])
def test_a_window_of_sound_is_cut_from_the_whole_stream_to_the_sample(shared: Path, name: str) -> None:
    path = shared / "data" / name
    with Reader(path) as reader:
        if reader._file.audio is None:
            with pytest.raises(DecodeError, match="no audio stream"):
                reader.audio(0.0, 1.0, 16_000)
            return
        whole, rate = all_samples(path)
        late = start_s(reader._file.audio) - min(
            start_s(s) for s in (reader._file.video, reader._file.audio) if s is not None
        )
        draw = random.Random(0)
        for rate_hz in (rate, 24_000):
            resampled = resample(whole, rate, rate_hz)
            for start in (-0.3, 0.0, *(draw.uniform(0, len(whole) / rate) for _ in range(4))):
                got = reader.audio(start, 0.7, rate_hz)[0].numpy()
                assert len(got) == round(0.7 * rate_hz)
                first = round((start - late) * rate_hz)
                expected = [resampled[i] if 0 <= i < len(resampled) else 0.0 for i in range(first, first + len(got))]
                # mp2 is decoded to 16 bits with dithering that depends on what was decoded before
                np.testing.assert_allclose(got, np.array(expected), atol=1e-4, err_msg=f"{start} s, {rate_hz} Hz")


def test_samples_are_counted_where_stamps_are_coarse(tmp_path: Path) -> None:
    """Matroska's stamps are whole milliseconds, 44 samples; the frames of 4608 samples do not begin at such."""
    samples = (np.random.default_rng(0).integers(-9999, 9999, (1, 3 * 44_100))).astype(np.int16)
    with av.open(tmp_path / "x.mkv", "w") as container:
        stream = container.add_stream("flac", rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate, frame.pts = 44_100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for start in range(0, 100_000, 9973):
        got = audio(tmp_path / "x.mkv", start / 44_100, 0.1, 44_100)[0].numpy()
        np.testing.assert_array_equal(got, samples[0, start : start + 4410] / np.float32(32_768))


def test_resampled_sound_is_the_same_wave(tmp_path: Path) -> None:
    time = np.arange(44_100, dtype=np.float32) / 44_100
    out = resample(np.sin(2 * np.pi * 440 * time), 44_100, 24_000)
    assert len(out) == 24_000
    expected = np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)
    np.testing.assert_allclose(out[100:-100], expected[100:-100], atol=1e-3)


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames at 30 fps whose grey tells their number; sound with a click each 0.25 s."""
    path = tmp_path_factory.mktemp("counting") / "a b:c%d.mp4"
    grey = (np.arange(60, dtype=np.uint8) * 4)[:, None, None, None]
    noise = np.random.default_rng(0).integers(0, 8, (60, 48, 64, 3), np.uint8)
    samples = np.zeros(48_000, np.float32)
    samples[::6000] = 0.9
    write_clip(path, noise + grey, 30, samples, 24_000, gop=60)
    return path


def test_frames_are_those_of_their_times(counting: Path) -> None:
    numbers = [0, 59, 7, 7, 31]
    got = frames(counting, [number / 30 for number in numbers])
    assert got.shape == (5, 3, 48, 64)
    assert got.dtype == torch.uint8
    assert [round((float(picture.float().mean()) - 3.5) / 4) for picture in got] == numbers


@pytest.mark.needs_shared
def test_frames_that_nobody_refers_to_are_not_decoded_on_the_way(shared: Path) -> None:
    counts = []
    for wanted in (None, {60 * 512}):
        with open_media(shared / "data" / "natural" / "dog_barking.mp4") as container:
            stream = container.streams.video[0]
            packets = list(pictures._packets(container, stream, 60 * 512, 60 * 512))
            decoded = [frame.pts for frame in pictures._decoded(stream.codec_context, packets, wanted)]
        assert 60 * 512 in decoded
        counts.append(len(decoded))
    assert counts[1] < counts[0] / 2


def test_clicks_are_where_they_belong(counting: Path) -> None:
    got = audio(counting, 0.2, 1.0, 24_000)[0].abs().numpy()
    peaks = [i for i in range(len(got)) if got[i] > 0.4 and got[i] == got[max(i - 1000, 0) : i + 1000].max()]
    assert peaks == [1200, 7200, 13_200, 19_200]


def test_sound_outside_the_stream_is_silent(counting: Path) -> None:
    assert not audio(counting, -2.0, 1.0, 24_000).any()
    assert not audio(counting, 5.0, 1.0, 16_000).any()


def test_pictures_shrink_to_the_short_side_and_never_grow(counting: Path) -> None:
    assert frames(counting, [0.5], short_side=24).shape == (1, 3, 24, 32)
    assert frames(counting, [0.5], short_side=480).shape == (1, 3, 48, 64)


@pytest.mark.needs_shared
def test_probe_tells_the_facts(shared: Path) -> None:
    odd = shared / "data" / "odd_media"
    info = probe(odd / "nasa_13013_rotated.mp4")
    assert (info.width, info.height, info.rotation) == (270, 480, 90)
    assert frames(odd / "nasa_13013_rotated.mp4", [0.0]).shape[2:] == (480, 270)
    info = probe(shared / "data" / "natural" / "applausing.mp4")  # its video starts two frames after its sound
    assert math.isclose(info.start_s, 2002 / 30_000)
    assert math.isclose(info.duration_s, 442_912 / 44_100 - info.start_s)
    assert (info.video_codec, info.audio_codec, info.audio_rate_hz, info.channels) == ("h264", "aac", 44_100, 2)
    assert probe(odd / "no_duration.webm").duration_s == 0
    assert not probe(odd / "with-attached-pic.mp3").has_video
    assert probe(odd / "test_non_zero_start.mp4").start_s == 0


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("name", "corners"), [("video_90.mov", [[110, 114], [66, 92]]), ("video_270.mov", [[155, 144], [89, 69]])]
)
def test_rotation_is_that_of_the_ffmpeg_command(shared: Path, name: str, corners: list[list[int]]) -> None:
    picture = frames(shared / "data" / "odd_media" / name, [0.0])[0].float().mean(0)
    h, w = picture.shape[0] // 4, picture.shape[1] // 4
    got = [[int(rows[:, :w].mean()), int(rows[:, -w:].mean())] for rows in (picture[:h], picture[-h:])]
    assert np.abs(np.array(got) - np.array(corners)).max() <= 1


def test_a_playlist_is_never_followed(tmp_path: Path, counting: Path) -> None:
    concat = tmp_path / "concat.mp4"
    concat.write_text(f"ffconcat version 1.0\nfile '{counting}'\n")
    hls = tmp_path / "hls.mp4"
    hls.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{counting}\n#EXT-X-ENDLIST\n")
    for path in (concat, hls):
        with pytest.raises(DecodeError, match=r"not a plain media file|Invalid data"):
            open_media(path)


def test_a_broken_file_is_named_with_its_reason(tmp_path: Path, counting: Path) -> None:
    whole = counting.read_bytes()
    cases = {"cut.mp4": whole[: len(whole) // 2], "empty.mp4": b"", "text.mp4": b"hello" * 100}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DecodeError) as caught:
            probe(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(DecodeError, match="No such file"):
        Reader(tmp_path / "gone.mp4")
