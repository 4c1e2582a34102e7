"""Sums over all events and messages, kept in memory, so that a page needs not count them anew.

`groups.py` asks a file for the sums of some of its rows, `rollup.py` keeps them by session and hour
and answers from them, and `follower.py` reads the files once and then what changes in them.
"""
