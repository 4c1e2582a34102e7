"""The server of a team: its sums, sessions and names, what is pushed to it, and each project.

The records lie in PostgreSQL. Sums are of SQL over hours; a project of one person on one machine is
served as by its own server, over a copy of its records that is brought up to date before.
"""
