"""What operators use: the console of all commands, health and metrics, and the rotation of keys."""
