"""The checks of ``manage.py doctor``: each outside part is used in the way the deployment uses it."""
