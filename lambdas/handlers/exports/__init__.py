"""The function that writes exports."""
