CREATE INDEX cells_by_file ON cells (file, session);
CREATE INDEX cells_by_hour ON cells (hour);

-- A session as lists show it; see `SessionItem`.
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, tool TEXT, tools TEXT, project TEXT, model TEXT, started TEXT,
    last TEXT, duration_seconds REAL, events INTEGER, failures INTEGER, messages INTEGER,
    tokens INTEGER, cost REAL, unpriced INTEGER, task_description TEXT, complexity TEXT,
    agent_count, confidence, planning_cost, plans INTEGER, planned_by TEXT, verdict TEXT, title TEXT
) WITHOUT ROWID;
CREATE INDEX sessions_by_planned_by ON sessions (planned_by);
