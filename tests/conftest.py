"""What tests of several folders share: a disk that is full."""

import contextlib
import resource

import pytest


@pytest.fixture
def full_disk():
    """`full_disk(free)`: a context in which no file can have more bytes than this."""

    @contextlib.contextmanager
    def limit(free):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
