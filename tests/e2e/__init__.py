"""A browser in front of a whole deployment."""
