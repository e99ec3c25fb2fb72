"""jaxgen.models"""
