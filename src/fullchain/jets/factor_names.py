"""Names of the variations of the event weight that files may have."""

FACTORS = ("isr_up", "isr_down", "fsr_up", "fsr_down", "pileup_up", "pileup_down")
"""Columns of tables are called w_<name>."""
