"""A trace of what the device does during a chunk of steps."""

from pathlib import Path
from types import TracebackType

from jaxgen.training.chunk import Chunk


class Profile:
    """A callback and context manager that records the first chunk of steps after the compilation.

    TensorBoard's profiler plugin shows the trace, and so does Perfetto (ui.perfetto.dev) with the file
    `perfetto_trace.json.gz`.

    Args:
        folder: folder of the trace.

    Example:
        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Profile(Path(folder)) as profile:
        ...         profile.start()
        ...         _ = (jnp.ones((4, 4)) @ jnp.ones((4, 4))).block_until_ready()
        ...         profile(Chunk(1, None, {}, 0.1, {}))
        ...     len(list(Path(folder).rglob("perfetto_trace.json.gz")))
        1
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._recording, self._recorded = folder, False, False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def start(self) -> None:
        """Begin the trace, unless there is one already."""
        import jax

        if not self._recorded:
            jax.profiler.start_trace(str(self.folder), create_perfetto_trace=True)
            self._recording = self._recorded = True

    def __call__(self, chunk: Chunk) -> None:
        """Write the trace."""
        self._stop()

    def _stop(self) -> None:
        import jax

        if self._recording:
            self._recording = False
            jax.profiler.stop_trace()
