"""What is kept no longer: by age, count and size, a session as a whole, or secrets found late."""
