"""Keep a project whole: doctor, backup, retention, and the trust of its owner."""
