"""The image sets: labels read and checked, splits, what is nearly the same, licences."""
