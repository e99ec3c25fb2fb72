"""Losses: pure functions, elementwise or per example and unreduced; the caller takes the mean."""

from jaxgen.losses.adversarial import (
    AdversarialLoss,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    relativistic_average,
    wasserstein,
)
from jaxgen.losses.boxes import box_iou, decode_boxes, detection_loss, encode_boxes, iou_loss
from jaxgen.losses.latent import (
    contractive_penalty,
    contractive_penalty_estimate,
    l1_latent,
    l2_latent,
    sparsity_penalty,
)
from jaxgen.losses.metric_learning import (
    TripletInfo,
    pairwise_distance,
    triplet,
    triplet_batch_all,
    triplet_batch_hard,
    triplet_kind,
    triplet_semi_hard,
)
from jaxgen.losses.penalties import (
    clip_weights,
    dragan_penalty,
    gradient_penalty,
    orthogonal_penalty,
    r1_penalty,
    r2_penalty,
)
from jaxgen.losses.reconstruction import bernoulli_nll, discretized_logistic_nll, gaussian_nll, laplace_nll
from jaxgen.losses.regression import absolute_error, huber, smooth_l1, squared_error
from jaxgen.losses.similarity import feature_similarity
from jaxgen.losses.style_transfer_losses import content_loss, style_loss

__all__ = [
    "AdversarialLoss",
    "TripletInfo",
    "absolute_error",
    "bernoulli_nll",
    "box_iou",
    "clip_weights",
    "content_loss",
    "contractive_penalty",
    "contractive_penalty_estimate",
    "decode_boxes",
    "detection_loss",
    "discretized_logistic_nll",
    "dragan_penalty",
    "encode_boxes",
    "feature_similarity",
    "gaussian_nll",
    "gradient_penalty",
    "hinge",
    "huber",
    "iou_loss",
    "l1_latent",
    "l2_latent",
    "laplace_nll",
    "least_squares",
    "minimax",
    "non_saturating",
    "orthogonal_penalty",
    "pairwise_distance",
    "r1_penalty",
    "r2_penalty",
    "relativistic_average",
    "smooth_l1",
    "sparsity_penalty",
    "squared_error",
    "style_loss",
    "triplet",
    "triplet_batch_all",
    "triplet_batch_hard",
    "triplet_kind",
    "triplet_semi_hard",
    "wasserstein",
]
