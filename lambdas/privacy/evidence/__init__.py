"""Evidence: what can be shown later, written once and kept under Object Lock."""
