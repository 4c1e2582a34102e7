"""Backups: made under load, verified by digests, restored as a whole or not at all.

A backup is a folder of three objects: `pack` has the pieces of files that its parent's chain
lacks, `index` says which pieces each file is made of, and `manifest.json`, written last, has the
digests of both. A backup without a manifest does not exist.
"""
