"""Before any test: tell XLA to compile quickly rather than to compile fast programs.

Most of the suite's time is compilation, of programs that run once. What is computed is the same but for rounding; the
programs of processes that tests start inherit the setting. `XLA_FLAGS= pytest` tests with everything on.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
