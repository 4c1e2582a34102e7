"""Many small cases of one rule in one test: to call a test takes longer than to check a case."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Tests = TypeVar("Tests", bound=Callable[..., Any])


def for_each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Tests], Tests]:
    """Check all cases within a test, or within each test of a class; a failure names its case.

    It takes the arguments of `pytest.mark.parametrize`. The cases share the test's fixtures.
    """
    words = (names,) if isinstance(names, str) else names
    values = [dict(zip(words, (c,) if isinstance(names, str) else c, strict=True)) for c in cases]
    assert values, "no case checks nothing"

    def checked(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def check(*arguments: Any, **fixtures: Any) -> None:
            for case in values:
                try:
                    test(*arguments, **fixtures, **case)
                except BaseException as error:
                    error.add_note(f"the case is {case!r}")
                    raise

        signature = inspect.signature(test)
        fixtures = [p for name, p in signature.parameters.items() if name not in words]
        check.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return check

    def decorate(tests: Tests) -> Tests:
        if not isinstance(tests, type):
            return checked(tests)  # type: ignore[return-value]
        for name, test in list(vars(tests).items()):
            if name.startswith("test_"):
                setattr(tests, name, checked(test))
        return tests

    return decorate
