"""jaxgen.cli"""
