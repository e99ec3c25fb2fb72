"""jaxgen.plot"""
