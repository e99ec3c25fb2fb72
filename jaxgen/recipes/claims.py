"""Statements about models, published or required of a correct implementation, compared with the metrics of a recipe."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxgen.metrics.protocol import metric_of
from jaxgen.recipes.recipe import MetricResult

FEWEST_ORDERED = 4
"""Smallest number of models whose order is compared with the published one."""


class Claim(NamedTuple):
    """A published statement that one model has larger values of a metric than another, tested on the seeds of a recipe.

    Attributes:
        larger: name of the model with the larger values.
        smaller: name of the model with the smaller values.
        metric: name of the metric.
    """

    larger: str
    smaller: str
    metric: str


class Limit(NamedTuple):
    """A bound that a metric of every model and every seed must keep, by theory or by the design of the experiment.

    Attributes:
        metric: name of the metric.
        at_least: smallest value; None for no such bound.
        at_most: largest value; None for no such bound.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None


def limit_with_extremes(limit: Limit, rows: Mapping[str, Mapping[str, MetricResult]]) -> str:
    """Return whether all models keep a limit, with the value that is nearest to it or farthest beyond it.

    Args:
        limit: bounds of a metric.
        rows: model name -> metric name, with or without its protocol -> values over seeds.

    Returns:
        A sentence; for a metric without finite values one that says so.

    Example:
        >>> rows = {"a": {"gap": MetricResult((0.2, 0.4))}, "b": {"gap": MetricResult((0.7,))}}
        >>> limit_with_extremes(Limit("gap", at_most=0.5), rows)
        'gap: at most 0.5 is missed: 1 of 3 values, the largest 0.7 (b)'
    """
    values = [
        (value, model)
        for model, row in rows.items()
        for name, result in row.items()
        if metric_of(name) == limit.metric
        for value in result.finite
    ]
    if not values:
        return f"{limit.metric}: no finite values to compare with its limit"
    parts = []
    for word, bound, extreme, which in (
        ("at least", limit.at_least, min(values), "smallest"),
        ("at most", limit.at_most, max(values), "largest"),
    ):
        if bound is None:
            continue
        beyond = sum(value < bound if word == "at least" else value > bound for value, _ in values)
        kept = f"is missed: {beyond} of {len(values)} values" if beyond else f"holds for all {len(values)} values"
        parts.append(f"{word} {bound:g} {kept}, the {which} {extreme[0]:.3g} ({extreme[1]})")
    return f"{limit.metric}: {'; '.join(parts)}"


def claim_with_p_value(claim: Claim, rows: Mapping[str, Mapping[str, MetricResult]]) -> str:
    """Return the claim with the p-value of a one-sided Mann-Whitney test, a test without assumed distributions.

    Args:
        claim: statement on two of the models.
        rows: model name -> metric name, with or without its protocol -> values over seeds.

    Returns:
        A sentence with both means; without a p-value where the values are of different protocols or too few.

    Example:
        >>> rows = {"a": {"modes": MetricResult((8.0, 9.0))}, "b": {"modes": MetricResult((6.0, 7.0))}}
        >>> print(claim_with_p_value(Claim("a", "b", "modes"), rows))
        modes: a 8.5, b 6.5; p = 0.17 (one-sided Mann-Whitney test that the first is larger)
    """
    from scipy.stats import PermutationMethod, mannwhitneyu

    two = [rows[name] for name in (claim.larger, claim.smaller)]
    shared = [name for name in two[0] if metric_of(name) == claim.metric and name in two[1]]
    if not shared:
        return f"{claim.metric}: {claim.larger} and {claim.smaller} have no values of one protocol"
    larger, smaller = (row[shared[0]] for row in two)
    sentence = f"{claim.metric}: {claim.larger} {larger.mean:.3g}, {claim.smaller} {smaller.mean:.3g}"
    if min(len(larger.finite), len(smaller.finite)) < 2:
        return f"{sentence}; too few seeds for a test"
    # By permutation, since mode counts have ties, for which tables do not hold; exhaustive up to ten seeds each.
    method = PermutationMethod(n_resamples=200_000, rng=np.random.default_rng(0))
    p = mannwhitneyu(larger.finite, smaller.finite, alternative="greater", method=method).pvalue
    return f"{sentence}; p = {p:.2g} (one-sided Mann-Whitney test that the first is larger)"


def agreements(rows: Mapping[str, Mapping[str, MetricResult]]) -> list[str]:
    """Return sentences that compare the order of models with that of published numbers of another protocol.

    Args:
        rows: model name -> metric name, with or without its protocol -> values over seeds, and the published number.

    Returns:
        A sentence with Spearman's rank correlation for each metric of enough models.
    """
    from scipy.stats import spearmanr

    sentences = []
    for name in dict.fromkeys(name for row in rows.values() for name in row):
        results = [row[name] for row in rows.values() if name in row and len(row[name].finite)]
        pairs = [(r.published.mean, r.mean) for r in results if r.published is not None and r.published.protocol]
        if len(pairs) >= FEWEST_ORDERED:
            published, ours = zip(*pairs, strict=True)
            correlation = spearmanr(published, ours)
            sentences.append(
                f"{name}: rank correlation of {len(pairs)} models with the published order {correlation.statistic:.2f} "
                f"(p = {correlation.pvalue:.2g})"
            )
    return sentences
