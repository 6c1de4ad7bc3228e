"""Files that name other files, addresses or code: none of them is opened, asked or run."""

from __future__ import annotations

import ast
import ctypes
import os
import pickle
import struct
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import av.error
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzz_bombs import box
from fuzz_boxes import find, replace

from avssl.data.decode.image import read_image
from avssl.data.decode.media import DecodeError, open_media
from avssl.data.decode.pyav import Reader
from avssl.data.encode import write_clip
from avssl.data.listing import Listed
from avssl.data.manifest import SCHEMA, Manifest, instance_id
from avssl.data.scan import scan
from avssl.data.shots import read_table
from avssl.types import UserError

REPO = Path(__file__).parents[2]
WRITTEN = (np.arange(15, dtype=np.uint8) * 9)[:, None, None, None] + np.zeros((15, 32, 48, 3), np.uint8)


class Trap:
    """A media file that must not be opened, and a server that must not be asked."""

    def __init__(self, canary: Path) -> None:
        self.canary, self.asked = canary, list[str]()
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._libc = ctypes.CDLL(None)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._watch, os.fsencode(canary), 0x20 | 0x1) >= 0  # opened, read

    def sprung(self) -> bool:
        """Whether anything was opened or asked since the last call."""
        try:
            opened = bool(os.read(self._watch, 65_536))
        except BlockingIOError:
            opened = False
        asked = bool(self.asked)
        self.asked.clear()
        return opened or asked


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    if sys.platform != "linux":
        pytest.skip("inotify is Linux's")
    (tmp_path / "outside").mkdir()
    canary = tmp_path / "outside" / "canary.mp4"
    write_clip(canary, WRITTEN, 25, np.zeros(4800, np.float32), 8000, gop=5)
    trap = Trap(canary)
    threading.Thread(target=trap.server.serve_forever, args=(0.05,), daemon=True).start()
    yield trap
    trap.server.shutdown()
    trap.server.server_close()


def lists(trap: Trap) -> dict[str, str]:
    """Playlists and descriptions in all their formats, by what they point at."""
    made = {}
    for kind, target in (("file", str(trap.canary)), ("http", f"{trap.url}/x.mp4")):
        made |= {
            f"hls {kind}": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
            f"hls map {kind}": f'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="{target}"\n#EXTINF:2,\n{target}\n'
            "#EXT-X-ENDLIST\n",
            f"concat {kind}": f"ffconcat version 1.0\nfile '{target}'\n",
            f"dash {kind}": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            f'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="0" '
            f'bandwidth="9"><BaseURL>{target}</BaseURL><SegmentList duration="2"><SegmentURL media="{target}"/>'
            "</SegmentList></Representation></AdaptationSet></Period></MPD>",
            f"asx {kind}": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
            f"reference {kind}": f"[Reference]\nRef1={target}\n",
            f"rtsp {kind}": f"RTSPtext\n{target}\n",
            f"smil {kind}": f'<smil><body><video src="{target}"/></body></smil>',
            f"svg {kind}": f'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "{target}">]>'
            f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/>&x;</svg>',
            f"avisynth {kind}": f'AviSource("{target}")',
            f"imf {kind}": f'<?xml version="1.0"?><AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM">{target}',
        }
    host, port = trap.url.removeprefix("http://").split(":")
    made["sdp"] = f"v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=video {port} RTP/AVP 96\n"
    return made


def reference_movies(trap: Trap, clip: bytes) -> dict[str, bytes]:
    """QuickTime's two ways to keep the media elsewhere."""
    made = {}
    for kind, target in (("file", f"file://{trap.canary}"), ("http", f"{trap.url}/x.mp4")):
        link = target.encode() + b"\0"
        rdrf = box(b"rdrf", bytes(4) + b"url " + struct.pack(">I", len(link)) + link)
        made[f"rmra {kind}"] = box(b"ftyp", b"qt  " + bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", rdrf)))
        made[f"dref url {kind}"] = with_dref(clip, box(b"url ", bytes(4) + link))
    made["dref alias"] = with_dref(clip, box(b"alis", bytes(4) + alias(trap.canary)))
    return made


def with_dref(clip: bytes, entry: bytes) -> bytes:
    """The clip without its media, which are said to be elsewhere."""
    data = bytearray(clip)
    mdat = find(data, b"mdat")
    data[mdat.start + 8 : mdat.end] = bytes(mdat.end - mdat.start - 8)
    return bytes(replace(data, b"dref", struct.pack(">II", 0, 1) + entry))


def alias(path: Path) -> bytes:
    """A Macintosh alias record with the absolute path."""
    head = bytearray(150)
    struct.pack_into(">HH", head, 4, 150, 2)
    head[10], head[50] = 4, len(path.name)
    head[11:15], head[51 : 51 + len(path.name)] = b"disk", path.name.encode()
    text = os.fsencode(path)
    body = bytes(head) + struct.pack(">HH", 2, len(text)) + text + bytes(len(text) % 2) + struct.pack(">HH", 0xFFFF, 0)
    return body[:4] + struct.pack(">H", len(body)) + body[6:]


def mkv_with_next(mkv: bytes, trap: Trap) -> bytes:
    """Matroska that says what to play after it and before it."""
    at = mkv.index(b"\x15\x49\xa9\x66") + 4
    width = 9 - mkv[at].bit_length()
    size = int.from_bytes(mkv[at : at + width], "big") & ((1 << 7 * width) - 1)
    names = b"".join(
        element + struct.pack(">Q", 1 << 56 | len(target)) + target
        for element in (b"\x3e\x83\xbb", b"\x3c\x83\xab")  # NextFilename, PrevFilename
        for target in (os.fsencode(trap.canary), f"{trap.url}/next.mkv".encode())
    )
    return (
        mkv[:at]
        + struct.pack(">Q", 1 << 56 | size + len(names))
        + mkv[at + width :][:size]
        + names
        + mkv[at + width + size :]
    )


def swf_with_script(trap: Trap) -> bytes:
    """A Flash film whose script asks for an address."""
    address = f"{trap.url}/swf\0_self\0".encode()
    action = b"\x83" + struct.pack("<H", len(address)) + address + b"\0"
    tags = struct.pack("<HI", 12 << 6 | 63, len(action)) + action + struct.pack("<HH", 1 << 6, 0)
    body = b"\x08\x00" + struct.pack("<HH", 12 << 8, 1) + tags
    return b"FWS\x06" + struct.pack("<I", 8 + len(body)) + body


def test_the_trap_springs_where_ffmpeg_is_not_held_back(tmp_path: Path, trap: Trap) -> None:
    """Otherwise the tests below would show nothing."""
    assert not trap.sprung()
    every = {"protocol_whitelist": "file,http,tcp,crypto,data", "allowed_extensions": "ALL", "safe": "0"}
    for name, text in lists(trap).items():
        if name in ("hls file", "hls http", "concat file", "concat http"):
            (tmp_path / "list.m3u8").write_text(text)
            try:
                av.open(str(tmp_path / "list.m3u8"), options=every | {"extension_picky": "0"}).close()
            except (av.error.FFmpegError, OSError):
                assert "http" in name
            assert trap.sprung(), name


def test_nothing_that_a_file_names_is_opened_or_asked_for(tmp_path: Path, trap: Trap) -> None:
    root = tmp_path / "root"
    root.mkdir()
    clip = trap.canary.read_bytes()
    with av.open(trap.canary) as read, av.open(tmp_path / "x.mkv", "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    contents = {name: text.encode() for name, text in lists(trap).items()} | reference_movies(trap, clip)
    contents |= {"next": mkv_with_next((tmp_path / "x.mkv").read_bytes(), trap), "script": swf_with_script(trap)}
    for name, content in contents.items():
        for extension in ("mp4", "mkv", "ts", "mov", "m3u8", "mpd", "sdp"):
            (root / f"{name}.{extension}").write_bytes(content)
    trap.sprung()  # the lines above have read the canary
    listing = {path.name: Listed("") for path in root.iterdir()}  # whatever their names end in
    manifest = scan(root, require=[], min_duration_s=0, check="decode", listing=listing, workers=1, timeout_s=10)
    assert len(manifest) == len(listing)
    assert not trap.sprung()
    good = {path for path, status in zip(manifest.paths, manifest.column("status"), strict=True) if status == "ok"}
    assert good <= {path for path in manifest.paths if path.startswith(("next", "script", "dref"))}
    assert any(path.startswith("next") for path in good)  # the other copies are duplicates
    for path in manifest.paths:
        try:
            with Reader(root / path) as reader:
                reader.frames([0.0, 0.2])
                reader.audio(0.0, 0.5, 8000)
        except DecodeError:
            pass
        with pytest.raises(DecodeError):
            read_image(root / path)
    assert not trap.sprung()


def test_names_that_look_like_addresses_are_names(tmp_path: Path, trap: Trap) -> None:
    address = trap.url.removeprefix("http://")
    canary = str(trap.canary).replace("/", ":")
    names = [f"concat:{canary}|x.mp4", f"subfile,,start,0,end,9,,:{canary}.mp4", f"http:{address}.mp4", "pipe:0.mp4"]
    for name in [*names, f"http:/{address}/x.mp4", f"cache:http:/{address}.mp4", "data:,x.mp4", "-i.mp4"]:
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_clip(file, WRITTEN, 25, None, 0)
        with open_media(file) as container:
            assert container.streams.video[0].width == 48
    found = scan(tmp_path / "root", require=["video"], min_duration_s=0)
    assert len(found) == 8
    assert not trap.sprung()


def test_a_pipe_and_a_device_are_no_media(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for path in tmp_path.iterdir():
        for read in (open_media, read_image):
            with pytest.raises(DecodeError, match="not a regular file"):
                read(path)


def row(path: str) -> dict[str, object]:
    known = {field.name: "" if pa.types.is_string(field.type) else None for field in SCHEMA}
    return known | {"id": instance_id(path), "path": path, "duration_s": 1.0, "start_s": 0.0, "status": "ok"}


@pytest.mark.parametrize("path", ["../outside/x.mp4", "/etc/passwd", "a/../../x.mp4", "", "a\0b.mp4", ".."])
def test_a_manifest_names_no_file_outside_its_folder(tmp_path: Path, path: str) -> None:
    Manifest.of(tmp_path, [row(path)]).write(tmp_path / "m.parquet")
    pq.write_table(pa.table({"path": [path], "instance": ["a"], "camera": ["b"]}), tmp_path / "s.parquet")
    for read, file in ((Manifest.read, "m.parquet"), (read_table, "s.parquet")):
        with pytest.raises(UserError, match=file) as caught:
            read(tmp_path / file)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limits", [b"[1]", b"{", b'{"own": 1}', b"\xff"])
def test_a_manifest_with_foreign_limits_is_refused_in_one_line(tmp_path: Path, limits: bytes) -> None:
    table = Manifest.of(tmp_path, [row("a.mp4")]).table
    pq.write_table(table.replace_schema_metadata({b"avssl.limits": limits}), tmp_path / "m.parquet")
    with pytest.raises(UserError, match=r"m\.parquet") as caught:
        Manifest.read(tmp_path / "m.parquet", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_link_in_the_folder_may_lead_out_of_it(tmp_path: Path) -> None:
    """Whoever made it has the rights to; no list of files can make one."""
    write_clip(tmp_path / "clip.mp4", WRITTEN, 25, None, 0)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "clip.mp4")
    found = scan(tmp_path / "root", require=["video"], min_duration_s=0)
    assert found.column("status") == ["ok"]
    found.write(tmp_path / "m.parquet")
    assert Manifest.read(tmp_path / "m.parquet").paths == ["link.mp4"]


class Payload:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_pickle_in_a_manifest_is_not_executed(tmp_path: Path) -> None:
    """Arrow's extension types were once unpickled when a file was opened (CVE-2023-47248)."""
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Payload(sprung)))
    assert sprung.exists()
    sprung.unlink()
    for name in (b"arrow.py_extension_type", b"pickle"):
        marks = {b"ARROW:extension:name": name, b"ARROW:extension:metadata": pickle.dumps(Payload(sprung))}
        table = Manifest.of(tmp_path, [row("a.mp4")]).table
        field = pa.field("mine", pa.binary(), metadata=marks)
        table = table.append_column(field, [[pickle.dumps(Payload(sprung))]])
        pq.write_table(table, tmp_path / "m.parquet")
        assert Manifest.read(tmp_path / "m.parquet", tmp_path).paths == ["a.mp4"]
    assert not sprung.exists()


UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "xml"}


def test_no_code_of_the_package_runs_what_it_reads() -> None:
    for file in [*REPO.glob("avssl/**/*.py"), *REPO.glob("data_prep/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
                assert not {name.split(".")[0] for name in names} & UNSAFE_MODULES, f"{file}:{node.lineno}"
            if isinstance(node, ast.Call):
                called, keywords = ast.unparse(node.func), {key.arg: ast.unparse(key.value) for key in node.keywords}
                assert called not in UNSAFE_CALLS, f"{file}:{node.lineno}"
                assert called.rsplit(".")[-1] not in ("system", "popen"), f"{file}:{node.lineno}"
                assert called != "torch.load" or keywords.get("weights_only") == "True", f"{file}:{node.lineno}"
                assert keywords.get("allow_pickle", "False") == "False", f"{file}:{node.lineno}"
