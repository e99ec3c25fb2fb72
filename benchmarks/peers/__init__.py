"""Comparisons of jaxgen's costly functions with their alternatives, one per file.

To add a comparison, write such a file and add it to this list.
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
