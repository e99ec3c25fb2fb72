"""Layers and networks: the only package that imports `flax.linen`. `autoencoding` documents how a network is called."""
