"""jaxgen.metrics"""
