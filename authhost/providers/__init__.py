"""Social login: the providers, clients for their protocols, and the configured apps."""
