"""Protocols: what is printed can be read back, and numbers of different protocols are refused by what differs."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgen.errors import InputError
from jaxgen.metrics.protocol import Protocol, check_comparable, differences

FID = Protocol(
    metric="fid", extractor="inception_2015", resizer="tf1_bilinear", real=50_000, fake=50_000, split="train"
)

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(
    st.builds(
        Protocol,
        metric=names,
        extractor=names,
        resizer=names,
        real=st.integers(1, 10**6),
        fake=st.integers(1, 10**6),
        split=names,
        options=st.lists(names.map(lambda name: f"{name}=3"), max_size=3).map(tuple),
    )
)
def test_the_text_of_a_protocol_is_read_back(protocol):
    assert Protocol.parse(str(protocol)) == protocol


def test_the_text_is_that_of_published_tables():
    assert str(FID) == "fid[inception_2015, tf1_bilinear, n=50000/50000, split=train]"


@pytest.mark.parametrize("text", ["fid", "fid[]", "fid[a, b, n=1, split=c]", "fid[a, b, n=1/2, split=c", "[a, b]", ""])
def test_what_is_no_protocol_is_refused(text):
    with pytest.raises(InputError, match="a protocol must be written as"):
        Protocol.parse(text)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"extractor": "mnist_v1"}, "extractor inception_2015 and mnist_v1"),
        ({"resizer": "bilinear"}, "resizer tf1_bilinear and bilinear"),
        ({"fake": 10_000}, "fake 50000 and 10000"),
        ({"split": "test"}, "split train and test"),
        ({"metric": "kid", "options": ("k=3",)}, "metric fid and kid and options none and k=3"),
    ],
)
def test_numbers_of_different_protocols_are_refused_by_what_differs(change, named):
    with pytest.raises(InputError) as error:
        check_comparable([FID, FID, dataclasses.replace(FID, **change)])
    assert f"got {named} in" in str(error.value)


def test_equal_protocols_compare():
    check_comparable([FID, dataclasses.replace(FID)])
    assert differences(FID, dataclasses.replace(FID)) == []
