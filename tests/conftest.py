"""What all tests share."""

from hypothesis import HealthCheck, settings

# How long something takes is measured in benchmarks/: here a busy machine must not fail a test. All else is
# as Hypothesis has it, which tries the same examples each time where CI is in the environment.
settings.register_profile(
    "untimed", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")
