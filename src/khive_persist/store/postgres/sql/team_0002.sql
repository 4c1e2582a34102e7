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
