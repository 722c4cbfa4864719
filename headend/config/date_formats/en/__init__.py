"""The formats for English, the only language of the portal."""
