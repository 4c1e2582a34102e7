"""Warn of limits that are reached, once each: by a command, and by a webhook.

`run.py` is a process that a sync and the server start, so that it works without a server and costs
no hook anything; `record.py` remembers what was warned of, and `delivery.py` sends.
"""
