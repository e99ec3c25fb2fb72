"""Convolutions as matrix products: the method of `jaxgen.nn.convolution` on the CPU.

A convolution is computed from slices, sums and matrix products only, in one of two ways that give the same numbers:

- gather: `unfold(x) @ kernel`. The patch of the input under each output pixel is multiplied by the kernel.
- scatter: `fold(x @ kernel)`. Each input pixel is multiplied by the kernel, and the windows of output pixels that this
  gives are added where they overlap.

`unfold` copies slices and `fold` is its transpose. So all derivatives of such a product, in both modes and of every
order, are again such products, and the gradient with respect to the kernel uses the same patches as the value.

Where windows overlap enough, Winograd's minimal filtering computes both with fewer multiplications and with different
rounding errors (`winograd`). `windows` has what all ways share, `products` the two ways and the choice between them.

XLA would compute values that several products share once for each product. Optimization barriers prevent this where the
compiler leaves them in place: in `fit` and in functions compiled with `jaxgen.training.jit`.
"""

from jaxgen.nn.cpu_convolution.products import convolve, is_supported

__all__ = ["convolve", "is_supported"]
