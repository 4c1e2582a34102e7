-- What has left for a team. It is no copy of anything: who loses it sends all once more.

-- One row. The file is ours where `mac` is that of `nonce`: git can bring another file at any time.
-- Every version is larger than `base`, in milliseconds since 1970: so are those of a ledger that
-- comes after this one. `destination` is where what is here has gone; `problem` is why the last push
-- failed.
CREATE TABLE state (
    nonce TEXT NOT NULL,
    mac TEXT NOT NULL,
    base INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    destination TEXT NOT NULL DEFAULT '',
    pushed_at TEXT,
    problem TEXT NOT NULL DEFAULT ''
);

-- How far a file is followed, as search.db has it. `manner` is a digest of the settings by which its
-- records were sent: by others all are looked at again.
CREATE TABLE positions (
    purpose TEXT PRIMARY KEY,
    manner TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    scanned INTEGER,
    checked TEXT
) WITHOUT ROWID;

-- Whose records they are, as the team knows them; `is_hashed` where ids leave as hashes.
CREATE TABLE senders (
    number INTEGER PRIMARY KEY,
    machine TEXT NOT NULL,
    project TEXT NOT NULL,
    is_hashed INTEGER NOT NULL,
    UNIQUE (machine, project, is_hashed)
);

CREATE TABLE sessions (number INTEGER PRIMARY KEY, session_id TEXT NOT NULL UNIQUE);

-- A row for each place that a record has, or may have, at the team. `version` is put down before it
-- is sent, `sent_at` after it was acknowledged. `withdrawal` is why it is to be taken out there, and
-- `sent_at` is empty then until that is done.
CREATE TABLE records (
    purpose TEXT NOT NULL,
    id TEXT NOT NULL,
    sender INTEGER NOT NULL,
    session INTEGER NOT NULL,
    version INTEGER NOT NULL,
    form TEXT NOT NULL,
    created_at TEXT,
    digest BLOB NOT NULL,
    withdrawal TEXT,
    sent_at TEXT,
    PRIMARY KEY (purpose, id, sender, session)
) WITHOUT ROWID;
CREATE INDEX records_of_session ON records (session);
CREATE INDEX records_to_withdraw ON records (purpose, id)
    WHERE withdrawal IS NOT NULL AND sent_at IS NULL;

-- What left, by day, kind and form; `form` is 'purged' for records that were taken out again.
CREATE TABLE days (
    day TEXT NOT NULL,
    purpose TEXT NOT NULL,
    form TEXT NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (day, purpose, form)
) WITHOUT ROWID;

-- Sessions of which nothing leaves.
CREATE TABLE off_sessions (session_id TEXT PRIMARY KEY, since TEXT NOT NULL) WITHOUT ROWID;

-- What never left: records that were removed before, and entries of the log that were dropped.
CREATE TABLE unsent (
    purpose TEXT PRIMARY KEY,
    records INTEGER NOT NULL DEFAULT 0,
    changes INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
