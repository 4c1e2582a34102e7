"""The commands of `khive-persist`, one a file."""
