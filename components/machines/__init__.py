"""The state machines: how each goes, as data, the table of all, and the component that declares one."""
