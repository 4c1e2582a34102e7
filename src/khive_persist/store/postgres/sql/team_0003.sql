-- The list of sessions, by the last hour of each, is read in the order of this index.
CREATE INDEX team_session_hours_by_place
    ON khive.team_session_hours (hour, session, person, machine, project);

-- The other begins with the hour, too.
DROP INDEX khive.team_session_hours_by_hour;
