"""What AWS would charge, from counted calls."""
