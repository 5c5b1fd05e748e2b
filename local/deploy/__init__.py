"""Run the unchanged Pulumi program here, creating each of its resources in the emulator."""
