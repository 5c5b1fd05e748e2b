"""How many examples properties try: in `make test` the same few everywhere, in `make soak` many others.

The same, because a change is judged by them: whoever starts `make test` gets the result that CI has, whatever
the environment. Examples that nobody has tried yet belong into a soak.
"""

from hypothesis import HealthCheck, settings

FIXED, SOAK = "fixed", "soak"
SOAKED = 10
"""How many times as many examples a soak tries."""

# A region is made for the test, not for each example: properties say what they empty, or take fresh names.
# How long something takes is measured in benchmarks/: here a busy machine must not fail a test.
_CHECKS_LEFT_OUT = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


def register() -> None:
    """Register both profiles, and load that of `make test`; `--hypothesis-profile=soak` loads the other."""
    # Nothing is taken from the profile that Hypothesis loads by itself: that depends on whether CI is set.
    untouched = settings.get_profile("default")
    settings.register_profile(
        FIXED,
        parent=untouched,
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=50,
        print_blob=False,
        suppress_health_check=_CHECKS_LEFT_OUT,
    )
    settings.register_profile(
        SOAK,
        parent=settings.get_profile(FIXED),
        derandomize=False,  # otherwise the seed is not looked at
        max_examples=50 * SOAKED,
    )
    settings.load_profile(FIXED)


def soaking() -> bool:
    """Return whether this is a soak, which tries everything."""
    return settings.get_current_profile_name() == SOAK


def examples(few: int) -> settings:
    """Return the settings of a property that tries so many examples in `make test`."""
    return settings(max_examples=few * SOAKED if soaking() else few)
