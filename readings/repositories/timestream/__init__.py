"""Readings in Amazon Timestream for LiveAnalytics."""
