"""Are the discovered relations real: held-out recovery, alignment, novelty, stability, calibration."""
