"""Invariants of all full runs."""

from tests.support.users_files import the_users_files_stay_as_they_are

__all__ = ["the_users_files_stay_as_they_are"]
