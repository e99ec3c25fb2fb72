"""Divergences between distributions: pure functions, in nats unless they say otherwise."""

from jaxgen.divergences.gaussian import kl_standard_normal

__all__ = ["kl_standard_normal"]
