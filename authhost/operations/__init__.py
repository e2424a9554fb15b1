"""What operators use: the console of all commands, and the health and the metrics of a host."""
