-- A session as lists show it; see `SessionItem`.
CREATE TABLE sessions ({columns}, PRIMARY KEY (session_id)) WITHOUT ROWID;
CREATE INDEX sessions_by_planned_by ON sessions (planned_by);
