-- The latest version of each record that was sent by a machine of a team. One whose content is NULL
-- was purged: its row stays, so that no older version comes back.
CREATE TABLE khive.team_records (
    session text COLLATE "C" NOT NULL,
    machine text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    person text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    form text COLLATE "C" NOT NULL,
    created_at timestamptz,
    content jsonb,
    content_text text,
    -- How the record counts in the sums of its hour; they are taken out again by these.
    hour timestamptz NOT NULL,
    tool text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    records bigint NOT NULL,
    events bigint NOT NULL,
    calls bigint NOT NULL,
    failures bigint NOT NULL,
    messages bigint NOT NULL,
    input_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    picodollars bigint NOT NULL,
    priced bigint NOT NULL,
    unpriced bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    -- Who follows the table reads below the oldest running transaction.
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- Citus distributes by the first column: a session lies on one shard.
    PRIMARY KEY (session, machine, project, purpose, id)
);

CREATE INDEX team_records_by_time ON khive.team_records (created_at);
CREATE INDEX team_records_by_person ON khive.team_records (person, created_at);
CREATE INDEX team_records_by_transaction ON khive.team_records (written_by);

-- Sums of the records of a session in an hour, beside these on the same shard.
CREATE TABLE khive.team_session_hours (
    session text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    person text COLLATE "C" NOT NULL,
    machine text COLLATE "C" NOT NULL,
    project text COLLATE "C" NOT NULL,
    tool text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    records bigint NOT NULL,
    events bigint NOT NULL,
    calls bigint NOT NULL,
    failures bigint NOT NULL,
    messages bigint NOT NULL,
    input_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    picodollars bigint NOT NULL,
    priced bigint NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (session, hour, person, machine, project, tool, model)
);

CREATE INDEX team_session_hours_by_hour ON khive.team_session_hours (hour);

-- A session that goes on over several hours is in each of them once: whoever counts sessions over
-- a longer time counts the different ones of team_session_hours.
CREATE VIEW khive.team_hours AS
SELECT hour, person, machine, project, tool, model,
    count(DISTINCT session) FILTER (WHERE session <> '') AS sessions,
    sum(records) AS records, sum(events) AS events, sum(calls) AS calls,
    sum(failures) AS failures, sum(messages) AS messages, sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens, sum(picodollars) AS picodollars, sum(priced) AS priced,
    sum(unpriced) AS unpriced
FROM khive.team_session_hours
GROUP BY hour, person, machine, project, tool, model;

-- What came and is no record of a team, or cannot be stored as one: each by where it came from.
CREATE TABLE khive.team_rejected (
    origin text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    body bytea NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin)
);
