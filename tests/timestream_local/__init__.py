"""A local Timestream: the service's own protocol over HTTP, its SQL run by DuckDB.

The shapes, limits and error codes are those of boto3's service model, the rest is as AWS documents
it; where that says nothing, the code says what is assumed.
"""
