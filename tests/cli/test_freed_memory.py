"""A process of the command line does not give back to the system what it frees and allocates again."""

import json
import os
import subprocess
import sys

PROGRAM = """
import json, resource
from jaxgen.cli.freed_memory import keep_freed_memory

def pages_of_ten_arrays(megabytes=50):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        array = bytearray(megabytes * 2**20)
        array[::1024] = bytes(len(array[::1024]))  # Writes to every page.
        del array
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() / 2**20

before = pages_of_ten_arrays()
kept = keep_freed_memory()
pages_of_ten_arrays()
print(json.dumps([kept, before, pages_of_ten_arrays()]))
"""


def run(**environment):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


def test_pages_of_freed_arrays_are_used_again():
    kept, before, after = run()
    assert kept == (sys.platform == "linux" and os.confstr("CS_GNU_LIBC_VERSION") is not None)
    assert not kept or (before > 400 and after < 20)


def test_options_of_the_users_environment_have_precedence():
    kept, before, after = run(MALLOC_TRIM_THRESHOLD_="131072")
    assert not kept
    assert after > 0.8 * before
