"""Figures of many records: plans with their outcomes, and plans that are alike."""
