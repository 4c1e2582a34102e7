"""The matrix of the clients: each real program run against a model of our own, and what came of it.

What a client gave to its hooks is counted by a recorder that has nothing of ours; what the model
told of tokens is counted by the model.
"""
