"""jaxgen.nn"""
