"""A progress bar on stderr while the features of images are computed."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ImageProgress:
    """A function of two numbers of images and a context manager that shows a bar on a terminal, and nothing elsewhere.

    Args:
        console: where to write; stderr where it is None.

    Example:
        >>> with ImageProgress() as progress:
        ...     progress(5, 10)
    """

    def __init__(self, console: Console | None = None) -> None:
        shown = console or Console(stderr=True)
        columns = (TextColumn("features"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=shown, disable=not shown.is_terminal, transient=True)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> "ImageProgress":
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def __call__(self, done: int, count: int) -> None:
        """Show how many images are done."""
        self._bar.update(self._task, completed=done, total=count)
