"""Adam in NumPy and float64, the reference of tests that compare whole trainings with loops written by hand."""

import numpy as np


class NumpyAdam:
    """Adam of one array or scalar: `update(gradient)` returns what is added to the parameter.

    Reference:
        Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    def __init__(self, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
        self.learning_rate, self.b1, self.b2, self.eps = learning_rate, b1, b2, eps
        self.mean = self.square = 0.0
        self.count = 0

    def update(self, gradient):
        self.count += 1
        self.mean = self.b1 * self.mean + (1 - self.b1) * gradient
        self.square = self.b2 * self.square + (1 - self.b2) * gradient**2
        mean, square = self.mean / (1 - self.b1**self.count), self.square / (1 - self.b2**self.count)
        return -self.learning_rate * mean / (np.sqrt(square) + self.eps)
