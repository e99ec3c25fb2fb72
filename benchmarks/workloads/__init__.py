"""The training steps that are timed, one a file, each with its PyTorch twin beside it.

A workload is added by writing such a file and adding it to this list.
"""

from workloads import ring_gan, vae
from workloads.workload import Workload

WORKLOADS: tuple[Workload, ...] = (vae.WORKLOAD, ring_gan.WORKLOAD)
