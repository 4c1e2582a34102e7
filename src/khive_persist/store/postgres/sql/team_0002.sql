-- Who was shown texts of whom: one row for a reader, a route and a session in a minute.
CREATE TABLE khive.team_reads (
    minute timestamptz NOT NULL,
    reader text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    person text COLLATE "C" NOT NULL,
    machine text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    route text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    PRIMARY KEY (minute, reader, role, person, machine, project, route, session)
);

-- A copy of a project follows its records below the oldest running transaction.
CREATE INDEX team_records_of_project
    ON khive.team_records (person, machine, project, written_by);

-- As on a machine, a session is what has events or messages.
CREATE OR REPLACE VIEW khive.team_hours AS
SELECT hour, person, machine, project, tool, model,
    count(DISTINCT session) FILTER (WHERE session <> '' AND events + messages > 0) AS sessions,
    sum(records) AS records, sum(events) AS events, sum(calls) AS calls,
    sum(failures) AS failures, sum(messages) AS messages, sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens, sum(picodollars) AS picodollars, sum(priced) AS priced,
    sum(unpriced) AS unpriced
FROM khive.team_session_hours
GROUP BY hour, person, machine, project, tool, model;
