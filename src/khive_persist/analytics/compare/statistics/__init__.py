"""The statistics of a comparison: numbers in, numbers out. scipy does what scipy has.

A sample is a sequence of numbers that are 0 or of a size from 1e-70 to 1e70, so that no fourth
power of them leaves the range of floats; whoever calls takes all others out, and says how many.
What cannot be said of a sample, because it is too small or constant, is None, never a NaN.
"""
