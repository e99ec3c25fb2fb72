"""Networks: the only folder that imports `flax.linen`. Blocks are in files of their own, networks beside them."""
