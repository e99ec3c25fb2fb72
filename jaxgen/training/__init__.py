"""jaxgen.training"""
