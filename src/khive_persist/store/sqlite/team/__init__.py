"""`.khive/team.db`: what has left for a team, and up to where the change logs were read for it."""
