"""A local Timestream: it speaks the service's protocol over HTTP, and runs its SQL with DuckDB.

Shapes, limits and error codes come from boto3's service models. The rest follows AWS's documentation;
where that is silent, a comment states the assumption.
"""
