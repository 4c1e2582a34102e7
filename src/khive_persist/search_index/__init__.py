"""Full-text search: an index beside the records, a consumer of their change logs.

    change log ─▶ follow ─▶ passages ─▶ index (search.db) ─▶ query ─▶ ranking ─▶ SearchResult

The index can be made anew from the databases at any time; it is the only copy of nothing.
"""
