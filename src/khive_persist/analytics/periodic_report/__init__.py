"""A regular report: what a day or a week cost, what failed and was slow, beside the one before."""
