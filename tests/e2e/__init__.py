"""Browser tests of a complete deployment."""
