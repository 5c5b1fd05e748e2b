"""Steps of a contract's end, the watch and the reminders."""
