"""jaxgen.data"""
