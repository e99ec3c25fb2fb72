"""What a pickle makes of values; what it refuses is tested with files."""

from jaxgen.array_files.pickle_machine import _result


def test_one_list_of_pairs_does_not_become_many_dicts():
    """Otherwise reading a file of a megabyte could take hours."""
    pairs = [["a", 1]]
    assert [_result("collections.OrderedDict", (pairs,)) for _ in range(2)] == [{"a": 1}, {}]
