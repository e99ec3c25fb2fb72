"""The figure of a 1-D GAN over training."""

from jaxgen.report.gan_1d import gan_1d
from jaxgen.report.section import load_input
from tests.report.small_reports import recorded


def test_snapshots_are_those_of_the_initial_state_and_of_all_checkpoints(trained, monkeypatch):
    drawn = recorded(monkeypatch, "gan_1d", "png", lambda name, figure, caption: (figure, caption))
    gan_1d(load_input(trained("gan_1d"), seed=0))
    [((name, figure, caption), _)] = drawn
    assert name == "gan_1d"
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["step 0", "step 20", "step 40"]
    assert caption.startswith("The 1-D GAN at steps 0, 20, 40:")
