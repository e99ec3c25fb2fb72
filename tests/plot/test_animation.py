"""The same frames are the same file, and the file shows the frames."""

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


def test_another_process_writes_the_same_bytes(tmp_path):
    path = tmp_path / "game.gif"
    subprocess.run([sys.executable, "-c", DRAW, path], check=True)
    figures = [scatter(np.random.default_rng(i).normal(size=(40, 2)), title=str(i)) for i in range(3)]
    assert render_animation(figures) == path.read_bytes()


def test_frames_are_shown_in_order_and_the_last_one_longer():
    movie = Image.open(io.BytesIO(render_animation(FRAMES, seconds=0.25)))
    assert (movie.n_frames, movie.size, movie.info["loop"]) == (3, (8, 6), 0)
    durations = []
    for i, frame in enumerate(FRAMES):
        movie.seek(i)
        durations.append(movie.info["duration"])
        np.testing.assert_array_equal(np.asarray(movie.convert("RGB")), frame)
    assert durations == [250, 250, 2500]


def test_figures_are_frames_of_their_own_size():
    movie = Image.open(io.BytesIO(render_animation([scatter(np.zeros((5, 2)))] * 2)))
    assert movie.size == (600, 600)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "all of one size, got none"),
        ([FRAMES[0], FRAMES[0][:3]], {}, r"got \[\(8, 3\), \(8, 6\)\]"),
        (FRAMES, {"seconds": 0.0}, "at least 0.01 seconds, got 0"),
    ],
)
def test_frames_that_make_no_animation_are_refused(frames, options, message):
    with pytest.raises(InputError, match=message):
        render_animation(frames, **options)


def test_a_file_is_there_whole_or_as_it_was(tmp_path, full_disk):
    path = tmp_path / "a.gif"
    animate(FRAMES, path)
    before = path.read_bytes()
    with full_disk(len(before) // 2), pytest.raises(InputError, match=r"a\.gif could not be written: File too large"):
        animate(FRAMES[::-1], path)
    with pytest.raises(InputError, match="all of one size"):
        animate([], path)
    with pytest.raises(InputError, match=r"ends in \.gif, got 'a\.mp4'"):
        animate(FRAMES, tmp_path / "a.mp4")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
