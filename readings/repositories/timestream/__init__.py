"""Readings in a table of Amazon Timestream for LiveAnalytics."""
