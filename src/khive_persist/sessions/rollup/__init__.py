"""Sums over all events and messages, kept in memory, so that a page needs not count them anew.

`groups.py` reads the sums of some rows of a file, `rollup.py` keeps them by session and hour and
answers from them, and `follower.py` reads the files once and then their changes.
"""
