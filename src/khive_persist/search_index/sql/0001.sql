-- The index of the full-text search. It can be made anew from the databases at any time: a file with
-- another schema than this one is.

-- One row. The file is ours where `mac` is that of `nonce`: git can bring another file at any time.
-- `taken_out` counts the passages that were taken out since nothing was left of any.
CREATE TABLE state (nonce TEXT NOT NULL, mac TEXT NOT NULL, taken_out INTEGER NOT NULL DEFAULT 0);

-- The session of records of none is the empty text.
CREATE TABLE sessions (number INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE);

-- Every record that was looked at, one without a passage, too.
CREATE TABLE records (
    number INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,
    record_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (purpose, record_id)
);

-- A passage is what a record has of one kind. Numbers grow in order of arrival, and none comes
-- again. `text` is zlib's of exactly what the index was given, so that it can be taken out of it.
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    record INTEGER NOT NULL,
    session INTEGER NOT NULL,
    kind TEXT NOT NULL,
    role TEXT NOT NULL,
    client TEXT NOT NULL,
    tool_name TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    failed INTEGER NOT NULL,
    text BLOB NOT NULL
);
CREATE INDEX passages_of_record ON passages (record);
CREATE INDEX passages_of_session ON passages (session);

-- The row is that of the passage. `parts` has what is found within the words: see tokens.py.
CREATE VIRTUAL TABLE words USING fts5(
    text, parts, content='', tokenize='unicode61 remove_diacritics 2'
);
-- The beginnings of commands, paths and errors.
CREATE VIRTUAL TABLE substrings USING fts5(text, content='', tokenize='trigram');

-- How far each file is followed. `scanned` is the rowid up to which a comparison with the whole
-- table has come, `checked` the record up to which those that are gone were sought; NULL where there
-- is no such comparison.
CREATE TABLE positions (
    purpose TEXT PRIMARY KEY,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    scanned INTEGER,
    checked INTEGER
) WITHOUT ROWID;

-- Records that somebody is about to change or to remove without an entry in a change log.
CREATE TABLE pending (
    purpose TEXT, record_id TEXT, remover TEXT, PRIMARY KEY (purpose, record_id, remover)
) WITHOUT ROWID;

-- Only where `search.semantic` is set.
CREATE TABLE vectors (passage INTEGER PRIMARY KEY, model TEXT NOT NULL, vector BLOB NOT NULL);
