"""Disentanglement: whether each coordinate of the latent codes depends on one of the known factors of the data.

Metrics of latents, as a rule posterior means, and of the factors of the same examples, as numbers of their values; a
further one is `jaxgen.metrics.factor_vae`. They follow the definitions of disentanglement_lib (Locatello et al. 2019,
arXiv:1811.12359), which differ from those of some papers, and are computed in float64 on the host.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgen._arrays import check_number
from jaxgen._signatures import checked
from jaxgen.errors import InputError, shortened
from jaxgen.metrics._known_factors import check_known_values, known_factors, known_latents
from jaxgen.typing import AnyArray, Float, Int

BINS = 20
"""Number of bins of each latent, as published."""

SMALLEST_VARIANCE = 1e-12
"""Variance up to which a latent counts as constant in `separated_attribute_predictability`, as published."""


class MutualInformationGap(NamedTuple):
    """Mutual information of latents and factors.

    Attributes:
        score: mean of the gaps, in [0, 1].
        gaps: gap of each factor, divided by its entropy, [factors].
        mutual_information: in nats, [dim, factors].
        entropies: entropy of each factor in nats, [factors].
    """

    score: float
    gaps: Float[np.ndarray, " factors"]
    mutual_information: Float[np.ndarray, "dim factors"]
    entropies: Float[np.ndarray, " factors"]


class AttributePredictability(NamedTuple):
    """How well single latents predict factors.

    Attributes:
        score: mean over the factors of the difference of the two best latents, in [0, 1].
        scores: squared correlation of continuous, test accuracy of discrete factors, [dim, factors].
    """

    score: float
    scores: Float[np.ndarray, "dim factors"]


class Dci(NamedTuple):
    """Disentanglement, completeness and informativeness.

    Attributes:
        disentanglement: 1 if each latent is important for one factor, 0 if for all equally.
        completeness: 1 if for each factor one latent is important, 0 if all equally.
        informativeness: accuracy of the predicted factors on the test examples, mean over the factors.
        train_informativeness: the same on the examples with which the predictors were fitted.
        importances: importance of each latent for each factor, [dim, factors].
    """

    disentanglement: float
    completeness: float
    informativeness: float
    train_informativeness: float
    importances: Float[np.ndarray, "dim factors"]


@checked
def mutual_information_gap(
    latents: Float[AnyArray, "n dim"], factors: Int[AnyArray, "n factors"], *, bins: int = BINS
) -> MutualInformationGap:
    """Compute the mutual information gap (MIG).

    With i* the latent of the largest mutual information with the factor v_j::

        MIG = mean over j of (I(z_i*; v_j) - max over i != i* of I(z_i; v_j)) / H(v_j)

    Latents are discretized by equally wide bins from their smallest to their largest value. (The paper integrates over
    q(z|x) in place of this.) Unrelated latents have a mutual information of about (bins - 1)(values - 1) / 2n nats, of
    which their gaps are differences.

    Args:
        latents: latent code of each example, [n, dim].
        factors: number of the value of each factor, [n, factors].
        bins: number of bins.

    Returns:
        The gap, and those of single factors.

    Raises:
        InputError: if shapes do not match, latents are not finite or fewer than 2, or a factor is constant.

    Reference:
        Chen et al. 2018, arXiv:1802.04942, equation 6; discretized as by Locatello et al. 2019, arXiv:1811.12359.

    Example:
        >>> factors = np.indices((4, 4)).reshape(2, -1).T
        >>> mutual_information_gap(factors * 1.0, factors).score
        1.0
        >>> round(mutual_information_gap(factors @ np.array([[1.0, 1.0], [1.0, -1.0]]), factors).score, 3)
        0.0
    """
    from scipy.special import entr  # Here, as its import takes a fifth of a second of every command.

    check_number("bins", bins, at_least=2)
    z = known_latents("latents", latents)
    values = [np.unique(column, return_inverse=True)[1] for column in known_factors(factors).T]
    binned = [np.digitize(column, np.linspace(column.min(), column.max(), bins + 1)[:-1]) - 1 for column in z.T]
    information = np.array([[_mutual_information(bin_of, value) for value in values] for bin_of in binned])
    entropies = np.array([entr(np.bincount(value) / len(value)).sum() for value in values])
    gaps = _differences_of_best(information) / entropies
    return MutualInformationGap(float(gaps.mean()), gaps, information, entropies)


@checked
def separated_attribute_predictability(
    latents: Float[AnyArray, "n dim"],
    factors: Int[AnyArray, "n factors"],
    test_latents: Float[AnyArray, "m dim"],
    test_factors: Int[AnyArray, "m factors"],
    *,
    continuous: Sequence[int] = (),
) -> AttributePredictability:
    """Compute the separated attribute predictability (SAP).

    The mean over the factors of the difference of the scores of the two latents that predict it best. The score of a
    latent is, for a continuous factor, its squared correlation with the factor; for a discrete one, the test accuracy
    of a linear support vector classifier (C = 0.01, classes of equal weight) of this latent alone. In one dimension
    it separates few values: for a latent that is equal to a factor of 16 values its accuracy is about 1/8.

    Args:
        latents: latent code of each example, [n, dim].
        factors: number of the value of each factor, [n, factors].
        test_latents: latent codes of other examples, on which classifiers are tested, [m, dim].
        test_factors: their factors, [m, factors].
        continuous: numbers of the factors that are continuous; the published studies have none.

    Returns:
        The score, and those of each latent and factor.

    Raises:
        InputError: if shapes do not match, latents are not finite or fewer than 2, a factor is constant, or continuous
            has a number that is not that of a factor.

    Reference:
        Kumar, Sattigeri and Balakrishnan 2018, arXiv:1711.00848, section 3; classifiers as in Locatello et al. 2019,
        arXiv:1811.12359.

    Example:
        >>> factors = np.indices((4, 4)).reshape(2, -1).T
        >>> separated_attribute_predictability(factors * 1.0, factors, factors, factors, continuous=[0, 1]).score
        1.0
    """
    z, values = known_latents("latents", latents), known_factors(factors)
    test_z, test_values = _known_test_set(test_latents, test_factors)
    if wrong := [number for number in continuous if number not in range(values.shape[1])]:
        raise InputError(f"continuous must have numbers from 0 to {values.shape[1] - 1}, got {shortened(wrong[0])}")
    scores = np.zeros((z.shape[1], values.shape[1]))
    for j in range(values.shape[1]):
        if j in continuous:
            scores[:, j] = _squared_correlations(z, values[:, j])
        else:
            for i in range(z.shape[1]):
                fitted = _support_vectors().fit(z[:, [i]], values[:, j])
                scores[i, j] = np.mean(fitted.predict(test_z[:, [i]]) == test_values[:, j])
    return AttributePredictability(float(_differences_of_best(scores).mean()), scores)


def boosted_trees() -> Any:
    """Return the published predictor of `dci`: scikit-learn's gradient boosted trees, 100 of depth 3 for each class."""
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(random_state=0)


@checked
def dci(
    latents: Float[AnyArray, "n dim"],
    factors: Int[AnyArray, "n factors"],
    test_latents: Float[AnyArray, "m dim"],
    test_factors: Int[AnyArray, "m factors"],
    *,
    predictor: Callable[[], Any] = boosted_trees,
) -> Dci:
    """Compute disentanglement, completeness and informativeness (DCI).

    A classifier predicts each factor from all latents. From the importances of the latents for it follow
    disentanglement and completeness (`disentanglement_completeness`), from its accuracy the informativeness. (The paper
    has linear regressions and random forests, and an error as the informativeness.)

    Args:
        latents: latent code of each example, with which the classifiers are fitted, [n, dim].
        factors: number of the value of each factor, [n, factors].
        test_latents: latent codes of other examples, on which the accuracies are measured, [m, dim].
        test_factors: their factors, [m, factors].
        predictor: function that returns a new classifier of scikit-learn with `feature_importances_`. The published
            one takes minutes for 10,000 examples, `sklearn.ensemble.RandomForestClassifier(max_features=None)` seconds
            (its default, a few latents for each split, spreads importances). Values of different predictors are not
            comparable.

    Returns:
        The three numbers, and the importances.

    Raises:
        InputError: if shapes do not match, latents are not finite or fewer than 2, there are fewer than 2 factors, a
            factor is constant, or the classifier has no importances.

    Reference:
        Eastwood and Williams 2018, "A framework for the quantitative evaluation of disentangled representations", ICLR;
        classifiers as in Locatello et al. 2019, arXiv:1811.12359.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> factors = np.indices((3, 3)).reshape(2, -1).T
        >>> found = dci(factors * 1.0, factors, factors, factors, predictor=DecisionTreeClassifier)
        >>> found.disentanglement, found.completeness, found.informativeness
        (1.0, 1.0, 1.0)
    """
    z, values = known_latents("latents", latents), known_factors(factors)
    test_z, test_values = _known_test_set(test_latents, test_factors)
    importances = np.zeros((z.shape[1], values.shape[1]))
    accuracies = np.zeros((2, values.shape[1]))
    for j in range(values.shape[1]):
        new = predictor()
        if not (hasattr(new, "fit") and hasattr(new, "predict")):
            raise InputError(
                f"predictor must return a classifier with fit and predict, got {type(new).__name__} {shortened(new)}"
            )
        fitted = new.fit(z, values[:, j])
        importances[:, j] = _importances(fitted, z.shape[1])
        accuracies[0, j] = np.mean(fitted.predict(test_z) == test_values[:, j])
        accuracies[1, j] = np.mean(fitted.predict(z) == values[:, j])
    disentanglement, completeness = disentanglement_completeness(importances)
    test_accuracy, train_accuracy = map(float, accuracies.mean(axis=1))
    return Dci(disentanglement, completeness, test_accuracy, train_accuracy, importances)


@checked
def disentanglement_completeness(importances: Float[AnyArray, "dim factors"]) -> tuple[float, float]:
    """Compute disentanglement and completeness from importances.

    For importances R of latents i for factors j, with entropies H divided by the logarithm of the number of terms::

        disentanglement = sum over i of R_i (1 - H(R_ij / R_i)),    R_i = sum over j of R_ij
        completeness    = sum over j of R_j (1 - H(R_ij / R_j)),    R_j = sum over i of R_ij

    each divided by the sum of R. Both are 0 if all importances are.

    Args:
        importances: importance of each latent for each factor, at least 0, [dim, factors].

    Returns:
        Disentanglement and completeness, in [0, 1].

    Raises:
        InputError: if importances are negative or not finite, or there are fewer than 2 latents or factors.

    Reference:
        Eastwood and Williams 2018, section 2.

    Example:
        >>> disentanglement_completeness(np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]]))[0]
        1.0
        >>> disentanglement_completeness(np.ones((2, 2)))
        (0.0, 0.0)
    """
    check_known_values("importances", importances)
    matrix = np.asarray(importances).astype(np.float64)
    if min(matrix.shape) < 2:
        raise InputError(f"importances must be of at least 2 latents and 2 factors, got shape {matrix.shape}")
    if not (np.isfinite(matrix).all() and (matrix >= 0).all()):
        raise InputError("importances must be finite and not negative, got other values")
    return _concentration(matrix), _concentration(matrix.T)


def _known_test_set(latents: AnyArray, factors: AnyArray) -> tuple[np.ndarray, np.ndarray]:
    check_known_values("test_factors", factors)
    return known_latents("test_latents", latents, least=1), np.asarray(factors)


def _mutual_information(x: Int[np.ndarray, " n"], y: Int[np.ndarray, " n"]) -> float:
    """Mutual information of two discrete variables in nats, from their values from 0."""
    from scipy.special import rel_entr

    values = y.max() + 1
    joint = np.bincount(x * values + y, minlength=(x.max() + 1) * values).reshape(-1, values) / len(x)
    return float(rel_entr(joint, np.outer(joint.sum(axis=1), joint.sum(axis=0))).sum())


def _differences_of_best(scores: Float[np.ndarray, "dim factors"]) -> Float[np.ndarray, " factors"]:
    """The largest minus the second largest score of each factor."""
    second, best = np.sort(scores, axis=0)[-2:]
    return best - second


def _squared_correlations(z: Float[np.ndarray, "n dim"], values: Int[np.ndarray, " n"]) -> np.ndarray:
    x, y = z - z.mean(axis=0), values - values.mean()
    squares, varies = np.square(x).sum(axis=0), z.var(axis=0, ddof=1) > SMALLEST_VARIANCE
    return np.where(varies, np.square(y @ x) / np.where(varies, squares, 1.0) / np.square(y).sum(), 0.0)


def _support_vectors() -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC(C=0.01, class_weight="balanced", dual=False)


def _importances(fitted: Any, dim: int) -> Float[np.ndarray, " dim"]:
    found: Any = getattr(fitted, "feature_importances_", None)
    if np.shape(found) != (dim,):
        raise InputError(
            f"predictor must return a classifier with feature_importances_ [{dim}] once it is fitted, got "
            f"{type(fitted).__name__} with {'none' if found is None else f'shape {np.shape(found)}'}"
        )
    return np.abs(np.asarray(found, np.float64))


def _concentration(matrix: Float[np.ndarray, "rows columns"]) -> float:
    """The mean over the rows of 1 minus the normalized entropy, weighted by their sums."""
    from scipy.special import entr

    sums = matrix.sum(axis=1)
    if not sums.any():
        return 0.0
    shares = matrix[sums > 0] / sums[sums > 0, np.newaxis]
    return float((1 - entr(shares).sum(axis=1) / np.log(matrix.shape[1])) @ sums[sums > 0] / sums.sum())
