"""The PyTorch side of the benchmark: the networks, players and data of each workload, and how both sides are compared.

Only modules of this folder import PyTorch, and they are imported only where it is installed.
"""
