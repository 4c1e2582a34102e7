"""No guard is without a test that is red once it is taken out; see `python -m tests.guards`."""

from pathlib import Path

from tests.guards.sites import sites
from tests.guards.table import TESTS

ROOT = Path(__file__).parents[2]


def test_each_guard_has_its_test() -> None:
    names = {site.name for site in sites(ROOT / "src" / "khive_persist")}
    assert names - TESTS.keys() == set(), "name the test that is red without it"
    assert TESTS.keys() - names == set(), "it is no longer there"


def test_the_tests_are_there() -> None:
    for test in set(TESTS.values()):
        file, _, rest = test.partition("::")
        name = rest.partition("[")[0]
        assert not name or f"def {name}(" in (ROOT / file).read_text(), test
