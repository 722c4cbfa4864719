"""Ratios against peers on the same readings in the same run; `make bench` prints them."""
