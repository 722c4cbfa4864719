"""The operators' pages about file requests."""
