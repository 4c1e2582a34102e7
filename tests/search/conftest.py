"""A project of a module is known to the home of each of its tests."""

from tests.homes import known_projects

__all__ = ["known_projects"]
