"""What all tests share."""

from hypothesis import HealthCheck, settings

# How long something takes is measured in benchmarks/: here a busy machine must not fail a test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
