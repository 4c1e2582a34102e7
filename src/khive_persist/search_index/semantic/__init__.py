"""Search by meaning, where the person has switched it on: a vector for each passage.

    passages ─▶ source (local model or endpoint) ─▶ vectors ─▶ cosine ─▶ fusion with bm25

Texts are what the index of words has, so redacted. Vectors are made in steps of bounded time, and
no search for words waits for one. numpy is imported by what computes with them alone.
"""
