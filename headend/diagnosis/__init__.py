"""The checks of ``manage.py doctor``: the services and the host are used in the way the deployment uses them."""
