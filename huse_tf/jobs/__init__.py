"""The work of the commands, for use from Python."""
