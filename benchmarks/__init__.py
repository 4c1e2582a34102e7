"""What DESIGN calls speed, measured side by side with its floor in one run."""
