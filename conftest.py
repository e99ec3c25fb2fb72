"""What holds for all tests, and has to be said before any of them imports JAX or jaxgen."""

import os
from importlib.metadata import version

import jaxtyping

# Most of the suite's time is the compilation of programs that run once: XLA is told to compile quickly rather than to
# compile fast programs. Processes that tests start inherit this; `XLA_FLAGS= pytest` tests with everything on.
QUICK_TO_COMPILE = ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
if version("jaxlib").startswith("0.10."):  # Later ones have no choice of emitters, and end at a flag they do not know.
    QUICK_TO_COMPILE.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(QUICK_TO_COMPILE))

# The networks' annotated types and shapes are checked at every call. Elsewhere tests need to give what the annotations
# forbid: shapes to pure functions that refuse them by themselves, names that do not exist, shapes in place of arrays.
jaxtyping.install_import_hook(["jaxgen.nn.conv", "jaxgen.nn.dcgan", "jaxgen.nn.mlp"], "beartype.beartype")
