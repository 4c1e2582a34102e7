"""What records say together: plans against their outcomes, and plans that are alike."""
