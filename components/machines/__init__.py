"""The state machines: how each goes, as data, and the component that declares one."""
