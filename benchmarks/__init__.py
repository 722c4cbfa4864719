"""Speed compared with peers, on the same readings in the same run. ``make bench`` prints the ratios."""
