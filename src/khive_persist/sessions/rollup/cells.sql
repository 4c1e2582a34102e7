-- A cell has the sums of the rows that have its first six columns in common; see `Group`.
CREATE TABLE {cells} (
    session TEXT, file TEXT, hour TEXT, tool TEXT, project TEXT, model TEXT,
    rows INTEGER, first TEXT, last TEXT, others INTEGER, calls INTEGER, failures INTEGER,
    input INTEGER, cache_read INTEGER, cache_write INTEGER, output INTEGER, cost INTEGER,
    priced INTEGER, unpriced INTEGER,
    prompt TEXT, plan TEXT, verdict TEXT,
    PRIMARY KEY (session, file, hour, tool, project, model)
) WITHOUT ROWID;
