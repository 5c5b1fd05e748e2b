"""Steps of a run, the sweep, the redrive and the replay."""
