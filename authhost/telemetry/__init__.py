"""What a host measures and logs of its flows and hooks: counts and times, spans, and log records."""
