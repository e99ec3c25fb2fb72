"""Data sets as dicts of arrays: one call loads a data set, one pure function draws the indices of batch t.

`data = load("digits")` is `{"image": uint8 [n, h, w, c], "label": int32 [n]}`, and
`take(data, batch_indices(key, step, examples=n, batch_size=128))` is its batch number `step`.
"""

from jaxgen.data.augmentation import Augmentation
from jaxgen.data.batching import batch_indices, batches_per_epoch, permute, take
from jaxgen.data.description import count_examples, describe, example, example_from
from jaxgen.data.fingerprint import fingerprint
from jaxgen.data.image_folder import read_image
from jaxgen.data.preparing import prepare
from jaxgen.data.selection import first_examples, random_examples, subset
from jaxgen.data.shapes import shape_factors
from jaxgen.data.sources import DATASETS, Data, Dataset, DataSource, load
from jaxgen.data.stacked import STACKED
from jaxgen.data.streaming import Stream
from jaxgen.data.synthetic import SYNTHETIC, Synthetic

__all__ = [
    "DATASETS",
    "STACKED",
    "SYNTHETIC",
    "Augmentation",
    "Data",
    "DataSource",
    "Dataset",
    "Stream",
    "Synthetic",
    "batch_indices",
    "batches_per_epoch",
    "count_examples",
    "describe",
    "example",
    "example_from",
    "fingerprint",
    "first_examples",
    "load",
    "permute",
    "prepare",
    "random_examples",
    "read_image",
    "shape_factors",
    "subset",
    "take",
]
