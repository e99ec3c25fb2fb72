"""Statements about the order of models: p-values by counting, and rank correlations."""

import pytest

from jaxgen.recipes.claims import Claim, Limit, agreements, claim_with_p_value, limit_with_extremes
from jaxgen.recipes.recipe import MetricResult, Published


@pytest.mark.parametrize(("larger", "p"), [((8.0, 9.0, 10.0), "0.05"), ((5.0, 8.0, 9.0), "0.1")])
def test_claims_have_exact_rank_test_p_values(larger: tuple[float, ...], p: str) -> None:
    """Of the 20 choices of three ranks of six, one has the largest sum, and one more the second largest."""
    rows = {"a": {"modes": MetricResult(larger)}, "b": {"modes": MetricResult((4.0, 4.5, 7.0))}}
    assert f"p = {p} " in claim_with_p_value(Claim("a", "b", "modes"), rows)


def test_claims_with_ties_have_permutation_test_p_values() -> None:
    """Only one of the 20 choices of three of these six values has as large a rank sum."""
    rows = {"a": {"modes": MetricResult((1000.0, 1000.0, 999.0))}, "b": {"modes": MetricResult((900.0, 900.0, 880.0))}}
    assert "p = 0.05 " in claim_with_p_value(Claim("a", "b", "modes"), rows)


def rows_of(pairs, protocol="elsewhere"):
    return {
        str(number): {"fid[a]": MetricResult((ours,), Published(published, protocol=protocol))}
        for number, (published, ours) in enumerate(pairs)
    }


def test_the_order_of_models_is_compared_with_that_of_published_numbers():
    (sentence,) = agreements(rows_of([(1, 10.0), (2, 20.0), (3, 40.0), (4, 30.0)]))
    assert sentence.startswith("fid[a]: rank correlation of 4 models with the published order 0.80")
    assert agreements(rows_of([(1, 10.0), (2, 20.0), (3, 40.0)])) == []
    assert agreements(rows_of([(1, 10.0), (2, 20.0), (3, 40.0), (4, 30.0)], protocol="")) == []


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (Limit("gap", at_most=1), "gap: at most 1 holds for all 3 values, the largest 0.9 (a)"),
        (Limit("gap", at_most=0.5), "gap: at most 0.5 is missed: 2 of 3 values, the largest 0.9 (a)"),
        (Limit("gap", at_least=0.2), "gap: at least 0.2 holds for all 3 values, the smallest 0.2 (a)"),
        (
            Limit("gap", at_least=0.5, at_most=0.9),
            "gap: at least 0.5 is missed: 1 of 3 values, the smallest 0.2 (a); "
            "at most 0.9 holds for all 3 values, the largest 0.9 (a)",
        ),
        (Limit("fall", at_least=0), "fall: no finite values to compare with its limit"),
    ],
)
def test_limits_are_held_against_every_finite_value_of_every_model(limit, sentence):
    rows = {"a": {"gap[n=9]": MetricResult((0.2, None, 0.9))}, "b": {"gap[n=9]": MetricResult((0.6, None))}}
    assert limit_with_extremes(limit, rows) == sentence
