"""What holds for all tests, and has to be said before any of them imports JAX or jaxgen."""

import gc
import importlib.metadata
import os
import tempfile
from collections.abc import Iterator

import jaxtyping
import pytest

# Most of the suite's time is the compilation of programs that run once: these options make XLA compile
# quickly rather than compile fast programs. Processes that tests start inherit this; `XLA_FLAGS= pytest` tests with all
# optimizations.
flags = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if importlib.metadata.version("jaxlib").startswith("0.10."):
    # This emitter of fusions compiles in a third of the time; jaxlib 0.12 ends a process that is given this option.
    flags += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", flags)

# Nothing is left in the user's own cache folder. The fixture `programs_on_disk` enables the cache in the process of the
# tests alone: a process that a test kills could leave an incomplete program in it.
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")

# The same for features of data sets, which are cached by content: each process of the tests has a folder of its own.
cache = tempfile.TemporaryDirectory(prefix="jaxgen-tests-")
os.environ["XDG_CACHE_HOME"] = cache.name

# JAX traces with many objects that live long: at Python's own thresholds a twelfth of the time is garbage collection.
gc.set_threshold(200_000, 50, 1000)

# The networks' annotated types and shapes are checked at every call. Elsewhere tests need to give what the annotations
# forbid: shapes to pure functions that refuse them by themselves, names that do not exist, shapes in place of arrays.
jaxtyping.install_import_hook(
    [
        "jaxgen.nn.conv_autoencoder",
        "jaxgen.nn.dcgan",
        "jaxgen.nn.mlp",
        "jaxgen.nn.normalization",
        "jaxgen.nn.resnet",
        "jaxgen.nn.biggan_networks",
        "jaxgen.nn.biggan_deep_networks",
        "jaxgen.nn.biggan_names",
        "jaxgen.nn.conditional_batch_norm",
        "jaxgen.nn.self_attention",
        "jaxgen.nn.sngan",
        "jaxgen.nn.spectral_layers",
    ],
    "beartype.beartype",
)


@pytest.fixture(autouse=True, scope="session")
def programs_on_disk() -> Iterator[None]:
    """Store compiled programs in a temporary folder of this process: many tests and modules compile the same ones."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    with tempfile.TemporaryDirectory(prefix="jaxgen-tests-programs-") as folder:
        jax.config.update("jax_enable_compilation_cache", True)
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        compilation_cache.reset_cache()  # Programs that modules compiled when they were imported were not cached.
        yield


@pytest.fixture
def convolutions_by_xla() -> Iterator[None]:
    """Compute convolutions by a single operation of XLA, as on accelerators: it is traced and compiled faster."""
    from jaxgen.nn import convolution

    with convolution.convolutions_by_xla():
        yield
