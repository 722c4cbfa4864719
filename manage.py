#!/usr/bin/env python
"""The management commands of the project: ``python manage.py help`` lists them."""

from headend.command_line import run

if __name__ == "__main__":
    run()
