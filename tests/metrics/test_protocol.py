"""Protocols: what is printed can be read back, and numbers of different protocols are refused by what differs."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgen.errors import InputError
from jaxgen.metrics.protocol import Protocol, check_comparable, choice, metric_of

FID = Protocol("fid", ("inception_2015", "tf1_bilinear", "n=50000/50000", "split=cifar10:train"))

parts = st.from_regex(r"[a-z0-9=:@#/ _.-]{1,9}", fullmatch=True).filter(str.strip).map(str.strip)


@given(parts.map(choice), st.lists(parts, min_size=1, max_size=5))
def test_the_text_of_a_protocol_is_read_back(metric, choices):
    protocol = Protocol(metric, tuple(choices))
    assert Protocol.parse(str(protocol)) == protocol
    assert metric_of(str(protocol)) == metric


def test_the_text_names_every_choice():
    assert str(FID) == "fid[inception_2015, tf1_bilinear, n=50000/50000, split=cifar10:train]"


@pytest.mark.parametrize("text", ["fid", "fid[]", "fid[a", "fid[a]]", "[a, b]", "", "fid[a, ]", "fid[a,, b]"])
def test_what_is_no_protocol_is_refused(text):
    with pytest.raises(InputError, match="protocol must"):
        Protocol.parse(text)


@given(st.text(max_size=20))
def test_any_text_of_the_user_becomes_a_choice(text):
    assert Protocol.parse(str(Protocol("fid", (f"split={choice(text)}",)))).choices == (f"split={choice(text)}",)


@pytest.mark.parametrize(
    ("number", "other"), [(0, "mnist_v1"), (1, "bilinear"), (2, "n=50000/10000"), (3, "split=cifar10:test")]
)
def test_numbers_of_different_protocols_are_refused_by_what_differs(number, other):
    choices = list(FID.choices)
    choices[number] = other
    with pytest.raises(InputError) as error:
        check_comparable([FID, FID, Protocol("fid", tuple(choices))])
    assert str(error.value).endswith(f"got {FID.choices[number]} and {other}")


def test_equal_protocols_compare():
    check_comparable([FID, dataclasses.replace(FID)])
