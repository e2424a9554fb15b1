"""The pages on which administrators find and manage accounts, and the JSON endpoints for the same."""
