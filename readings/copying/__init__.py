"""Copy readings from one repository into another, day by day, and compare both."""
