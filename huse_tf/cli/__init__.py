"""Flags, help, exit statuses and logs of the commands."""
