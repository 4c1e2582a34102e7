CREATE TABLE IF NOT EXISTS {table} (
    id VARCHAR NOT NULL PRIMARY KEY,
    content JSON,
    node_metadata JSON,
    created_at DATETIME,
    embedding JSON
);

-- Empty but in files that another program wrote: tells without a scan whether created_at can be
-- compared as it is.
CREATE INDEX IF NOT EXISTS {table}_odd_created_at ON {table} (id) WHERE {odd_created_at};
