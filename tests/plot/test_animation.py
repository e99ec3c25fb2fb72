"""Animations are deterministic and contain the frames in order."""

import io
import subprocess
import sys

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


def test_frames_have_the_size_of_their_figures():
    animation = Image.open(io.BytesIO(render_animation([scatter(np.zeros((5, 2)))] * 2)))
    assert animation.size == (600, 600)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "frames must be figures or images of one size, got none"),
        ([FRAMES[0], FRAMES[0][:3]], {}, r"got \[\(8, 3\), \(8, 6\)\]"),
        (FRAMES, {"seconds": 0.0}, "seconds must be at least 0.01, got 0"),
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
    with pytest.raises(InputError, match=r"must end in \.gif, got 'a\.mp4'"):
        animate(FRAMES, tmp_path / "a.mp4")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
