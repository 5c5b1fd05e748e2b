"""Pulumi's provider plugin `aws` for the emulator: the real engine and CLI deploy through it."""
