"""How good a detector is: matching, figures, slices, calibration, exact bounds."""
