"""jaxgen.losses"""
