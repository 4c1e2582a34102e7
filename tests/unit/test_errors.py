"""The errors: one class a cause, each told apart by programs and by `except`."""

import pickle

import pytest

import khive_persist
from khive_persist import errors
from khive_persist.errors import KhiveError


def subclasses(of: type[KhiveError]) -> list[type[KhiveError]]:
    return [one for direct in of.__subclasses__() for one in (direct, *subclasses(direct))]


ALL: list[type[KhiveError]] = [KhiveError, *subclasses(KhiveError)]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [vars(one).get("code") for one in ALL]
    assert len(set(codes)) == len(ALL)
    assert all(isinstance(code, str) and code == code.lower() != "" for code in codes)


def test_every_error_stands_in_the_tree() -> None:
    assert {one.__name__ for one in ALL} == {
        name for name in vars(errors) if name.endswith("Error")
    }
    tree = errors.__doc__ or ""
    for one in ALL:
        (line,) = [line for line in tree.splitlines() if f" {one.__name__} " in f" {line} "]
        built_in = [base.__name__ for base in one.__bases__ if not issubclass(base, KhiveError)]
        assert line.count("(") == len(built_in) * (one is not KhiveError)
        if one is not KhiveError and built_in:
            assert f"({built_in[0]})" in line


@pytest.mark.parametrize("kind", ALL)
def test_an_error_says_what_and_what_to_do(kind: type[KhiveError]) -> None:
    assert str(kind("it broke")) == "it broke"
    error = kind("it broke", hint="mend it")
    assert (str(error), error.hint) == ("it broke: mend it", "mend it")
    with pytest.raises(KhiveError, match="it broke: mend it"):
        raise error


@pytest.mark.parametrize("kind", ALL)
def test_an_error_goes_from_process_to_process(kind: type[KhiveError]) -> None:
    error = pickle.loads(pickle.dumps(kind("it broke", hint="mend it")))
    assert type(error) is kind
    assert (str(error), error.code) == ("it broke: mend it", kind.code)


@pytest.mark.parametrize(
    ("kind", "built_in"),
    [
        (errors.InvalidRecordError, ValueError),
        (errors.InvalidQueryError, ValueError),
        (errors.InvalidSettingsError, ValueError),
        (errors.NotFoundError, LookupError),
        (errors.ProjectError, OSError),
        (errors.CaptureError, OSError),
        (errors.StoreBusyError, TimeoutError),
        (errors.StoreFullError, OSError),
        (errors.StoreUnavailableError, OSError),
        (errors.StoreError, RuntimeError),
    ],
)
def test_an_error_is_also_the_built_in_that_fits(
    kind: type[KhiveError], built_in: type[Exception]
) -> None:
    assert issubclass(kind, built_in)


def test_every_error_but_the_base_is_of_the_base() -> None:
    assert khive_persist.KhiveError is KhiveError
