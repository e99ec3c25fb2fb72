"""`jaxgen metrics ACTION`: the actions, and the source of weights that one of them installs."""

import pytest


def test_an_unknown_action_is_refused(refused):
    assert "compare" in refused("metrics", "compere")


@pytest.mark.parametrize(
    ("given", "got"), [((), "none"), (("--from", "absent.pth", "--download"), "both")], ids=["none", "both"]
)
def test_weights_are_installed_from_a_file_or_by_a_download(refused, given, got):
    message = refused("metrics", "weights", "inception", *given)
    assert message.startswith(f"jaxgen metrics weights needs either --from FILE or --download, got {got}: fetch https")
