"""jaxgen.divergences"""
