"""Animations are deterministic and contain the frames in order."""

import io
import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from jaxgen.errors import InputError
from jaxgen.plot import animate, render_animation, scatter

DRAW = """
import sys
import numpy as np
from jaxgen.plot import animate, scatter
animate([scatter(np.random.default_rng(i).normal(size=(40, 2)), title=str(i)) for i in range(3)], sys.argv[1])
"""

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
FRAMES = [np.broadcast_to(colour, (6, 8, 3)).copy() for colour in COLOURS]


def test_animation_has_the_same_bytes_in_another_process(tmp_path):
    path = tmp_path / "animation.gif"
    subprocess.run([sys.executable, "-c", DRAW, path], check=True)
    figures = [scatter(np.random.default_rng(i).normal(size=(40, 2)), title=str(i)) for i in range(3)]
    assert render_animation(figures) == path.read_bytes()


def test_frames_are_in_order_and_the_last_one_lasts_longer():
    animation = Image.open(io.BytesIO(render_animation(FRAMES, seconds=0.25)))
    assert (animation.n_frames, animation.size, animation.info["loop"]) == (3, (8, 6), 0)
    durations = []
    for i, frame in enumerate(FRAMES):
        animation.seek(i)
        durations.append(animation.info["duration"])
        np.testing.assert_array_equal(np.asarray(animation.convert("RGB")), frame)
    assert durations == [250, 250, 2500]


def test_all_frames_of_a_loop_last_equally_long():
    animation = Image.open(io.BytesIO(render_animation(FRAMES, seconds=0.25, loop=True)))
    durations = []
    for i in range(3):
        animation.seek(i)
        durations.append(animation.info["duration"])
    assert durations == [250, 250, 250]


def test_grey_pixels_are_frames():
    grey = [np.full((6, 8), value, np.uint8) for value in (0, 200)]
    animation = Image.open(io.BytesIO(render_animation(grey)))
    for i, frame in enumerate(grey):
        animation.seek(i)
        np.testing.assert_array_equal(np.asarray(animation.convert("L")), frame)


FFMPEG = """#!{python}
import json, pathlib, sys
content = sys.stdin.buffer.read()
pathlib.Path("{record}").write_text(json.dumps([sys.argv[1:], list(content)]))
pathlib.Path(sys.argv[-1]).write_bytes(b"content")
print("the reason of a failure", file=sys.stderr)
sys.exit({status})
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """`ffmpeg(status)`: put a program of that name on the path, which records what it is given."""
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)

    def install(status):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        record = tmp_path / "record.json"
        program = folder / "ffmpeg"
        program.write_text(FFMPEG.format(python=sys.executable, record=record, status=status))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return record

    return install


def test_ffmpeg_receives_the_pixels_of_all_frames_their_size_and_their_rate(ffmpeg, tmp_path):
    record = ffmpeg(0)
    animate(FRAMES, tmp_path / "a.mp4", seconds=0.25)
    arguments, content = json.loads(record.read_text())
    np.testing.assert_array_equal(np.reshape(content, (3, 6, 8, 3)), FRAMES)
    options = dict(pairwise(arguments))
    assert (options["-s"], options["-r"], options["-pix_fmt"]) == ("8x6", "4", "yuv420p")
    assert (tmp_path / "a.mp4").read_bytes() == b"content"


def test_failure_of_ffmpeg_is_a_sentence_and_leaves_the_previous_file(ffmpeg, tmp_path):
    ffmpeg(3)
    (tmp_path / "a.mp4").write_bytes(b"before")
    with pytest.raises(InputError, match=r"a\.mp4 could not be written by .*ffmpeg: the reason of a failure"):
        animate(FRAMES, tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "bin", "record.json"}


def test_without_ffmpeg_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"pip install 'jaxgen\[video\]', or give a name that ends in \.gif"):
        animate(FRAMES, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_frames_have_the_size_of_their_figures():
    animation = Image.open(io.BytesIO(render_animation([scatter(np.zeros((5, 2)))] * 2)))
    assert animation.size == (600, 600)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "frames must be figures or images of one size, got none"),
        ([FRAMES[0], FRAMES[0][:3]], {}, r"got \[\(8, 3\), \(8, 6\)\]"),
        (FRAMES, {"seconds": 0.0}, "seconds must be finite and at least 0.01, got 0"),
    ],
)
def test_invalid_frames_and_durations_are_rejected(frames, options, message):
    with pytest.raises(InputError, match=message):
        render_animation(frames, **options)


def test_errors_leave_the_previous_file_unchanged(tmp_path, full_disk):
    path = tmp_path / "a.gif"
    animate(FRAMES, path)
    before = path.read_bytes()
    with full_disk(len(before) // 2), pytest.raises(InputError, match=r"a\.gif could not be written: File too large"):
        animate(FRAMES[::-1], path)
    with pytest.raises(InputError, match="frames must be figures or images of one size"):
        animate([], path)
    with pytest.raises(InputError, match=r"must end in \.gif or \.mp4, got 'a\.avi'"):
        animate(FRAMES, tmp_path / "a.avi")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
