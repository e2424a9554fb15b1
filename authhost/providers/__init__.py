"""Social login: providers, their protocols, and what is set up."""
