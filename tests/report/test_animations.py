"""Animations have one frame for each figure that was drawn during training."""

import io

import numpy as np
from PIL import Image

from jaxgen.report.animations import animations
from tests.report.small_reports import inputs_of


def test_animation_of_a_1d_gan_does_not_need_figures_of_samples(trained, tmp_path):
    run = trained("gan_1d")
    (tmp_path / "samples").mkdir()
    for path in (run.folder / "samples").glob("step-*-gan_1d.png"):
        (tmp_path / "samples" / path.name).write_bytes(path.read_bytes())
    section = animations(inputs_of(run._replace(folder=tmp_path)))
    assert [figure.name for figure in section.figures] == ["gan_1d_over_training.gif"]


def test_animation_has_the_figures_of_all_steps_as_frames(trained):
    run = trained("gan_1d")
    drawn = sorted((run.folder / "samples").glob("step-*-gan_1d.png"))
    assert [path.name for path in drawn] == [f"step-{step:08d}-gan_1d.png" for step in (20, 40)]
    files = {figure.name: figure.content for figure in animations(inputs_of(run)).figures}
    assert sorted(files) == ["gan_1d_over_training.gif", "samples_at_steps.png", "samples_over_training.gif"]
    with Image.open(io.BytesIO(files["gan_1d_over_training.gif"])) as animation:
        assert animation.n_frames == len(drawn)
        for i, path in enumerate(drawn):
            animation.seek(i)
            with Image.open(path) as image:
                # A GIF has 256 colours.
                difference = np.asarray(animation.convert("RGB"), float) - np.asarray(image.convert("RGB"), float)
            assert np.abs(difference).mean() < 1
