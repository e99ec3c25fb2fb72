"""The functions whose cost matters, one a file, each with what a user would otherwise call.

A comparison is added by writing such a file and adding it to this list.
"""

from peers import frechet_distance, mmd, pairwise_distance, sliced_wasserstein, triplet_batch_all
from peers.comparison import Comparison

COMPARISONS: tuple[Comparison, ...] = (
    pairwise_distance.COMPARISON,
    triplet_batch_all.COMPARISON,
    sliced_wasserstein.COMPARISON,
    mmd.COMPARISON,
    frechet_distance.COMPARISON,
)
