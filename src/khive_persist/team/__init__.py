"""Send what a person lets leave to their team: records in a form, in batches, each version once.

`push.py` follows the change logs, `form.py` says what leaves of a record, a `Destination` stores it
for the team, and `.khive/team.db` keeps how far it is and what has left.
"""
