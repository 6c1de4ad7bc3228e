"""Which reason a file gets, for which task."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from avssl.data.manifest import SCHEMA, Manifest
from avssl.data.scanning.inspect import row_of
from avssl.data.status import Limits, status_of, statuses
from avssl.types import UserError

GOOD: dict[str, Any] = {
    "has_video": True,
    "has_audio": True,
    "video_codec": "h264",
    "audio_codec": "aac",
    "video_error_s": None,
    "audio_error_s": None,
    "duration_s": 2.0,
    "video_start_s": 0.0,
    "audio_start_s": 0.1,
    "video_duration_s": 2.1,
    "audio_duration_s": 2.0,
    "loudness_db": -20.0,
    "motion": 3.0,
    "status": "ok",
}
BOTH, VIDEO, AUDIO = ("video", "audio"), ("video",), ("audio",)
CASES = [
    ({}, "ok", "ok", "ok"),
    ({"loudness_db": -60.1}, "silent", "ok", "silent"),
    ({"loudness_db": None, "motion": None}, "ok", "ok", "ok"),
    ({"motion": 0.09}, "still", "still", "ok"),
    ({"has_video": False, "video_codec": ""}, "no_video", "no_video", "ok"),
    ({"has_audio": False, "audio_codec": "", "loudness_db": None}, "no_audio", "ok", "no_audio"),
    ({"has_audio": False, "audio_codec": "unsupported"}, "unsupported_codec", "ok", "unsupported_codec"),
    ({"video_error_s": 1.5}, "decode_error", "decode_error", "ok"),
    ({"audio_error_s": 0.0}, "decode_error", "ok", "decode_error"),
    ({"duration_s": 0.0}, "no_duration", "no_duration", "no_duration"),
    ({"duration_s": 0.49}, "too_short", "too_short", "too_short"),
    ({"audio_start_s": 1.2, "audio_duration_s": 0.9}, "av_desync", "ok", "ok"),
    ({"audio_duration_s": 3.3}, "av_desync", "ok", "ok"),
    ({"status": "timeout", "has_video": False}, "timeout", "timeout", "timeout"),
    ({"status": "duplicate"}, "duplicate", "duplicate", "duplicate"),
    ({"status": "silent"}, "ok", "ok", "ok"),  # decided for another task or by other limits
]


@pytest.mark.parametrize(("change", "both", "video", "audio"), CASES)
def test_the_task_decides_which_reason_counts(change: dict[str, Any], both: str, video: str, audio: str) -> None:
    facts = GOOD | change
    assert [status_of(facts, need, 0.5) for need in (BOTH, VIDEO, AUDIO)] == [both, video, audio]


def test_all_rows_at_once_are_decided_as_one_by_one() -> None:
    rows = [GOOD | one | other for (one, *_), (other, *_) in product(CASES, CASES)]
    table = pa.Table.from_pylist(rows, schema=pa.schema([SCHEMA.field(name) for name in GOOD]))
    for need in (BOTH, VIDEO, AUDIO):
        told = statuses(table, need, 0.5, Limits()).to_pylist()
        assert told == [status_of(row, need, 0.5) for row in rows]


def test_limits_go_with_the_manifest(tmp_path: Path) -> None:
    row = row_of(tmp_path, "a.mp4", "ok", "", "hash") | GOOD | {"loudness_db": -40.0}
    strict = Manifest(tmp_path, Manifest.of(tmp_path, [row]).table, Limits(silent_db=-30, still_grey=0.5))
    strict.write(tmp_path / "m.parquet")
    again = Manifest.read(tmp_path / "m.parquet")
    assert again.limits == strict.limits
    assert again.select()[1] == {"silent": 1}
    assert len(again.select(VIDEO)[0]) == 1
    assert again.select(VIDEO)[0].limits == strict.limits
    assert len(Manifest(tmp_path, again.table).select()[0]) == 1


@pytest.mark.parametrize("wrong", [{"silent_db": 1}, {"still_grey": -1}, {"desync_s": -0.1}])
def test_limits_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"limits.{next(iter(wrong))}="):
        Limits(**wrong)
