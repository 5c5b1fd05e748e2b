"""The functions: a catalogue of all, their packages, their rights, and the component of one."""
