-- What each transaction touched, in the transaction itself: who keeps a copy follows it. A row goes
-- when all consumers have it. `key` is the session and the time of the record before the change, as
-- a JSON array, or NULL where there was none.
CREATE TABLE IF NOT EXISTS change_log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id VARCHAR NOT NULL,
    kind TEXT NOT NULL,
    key TEXT
);

-- One row for a file, all in one page. `epoch` says which file it is, `records` and `last_rowid` how
-- the table was after the last transaction of ours: where it is not so, somebody else has written.
-- `consumers` is a JSON object: up to which entry each has everything, or -1 where it has to begin
-- with the whole table.
CREATE TABLE IF NOT EXISTS change_log_state (
    epoch TEXT NOT NULL,
    records INTEGER NOT NULL,
    last_rowid INTEGER NOT NULL,
    consumers JSON NOT NULL
);

INSERT INTO change_log_state (epoch, records, last_rowid, consumers)
SELECT lower(hex(randomblob(16))), count(*), coalesce(max(rowid), 0), '{}' FROM {table}
WHERE NOT EXISTS (SELECT 1 FROM change_log_state);
