"""An AWS on this machine: emulator, in-process deployment, demo and the helpers of the end-to-end tests."""
