"""The command line: parse, call, print. Nothing here knows a model, and nothing is imported before it is needed."""
