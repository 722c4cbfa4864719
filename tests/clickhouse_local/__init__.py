"""A local ClickHouse. It serves ClickHouse's HTTP interface, and the real engine (chDB, in this process) runs queries.

Differences from a server: one user, without access control; no sessions, clusters, replication or replicated tables.
chDB sometimes hangs if a query with several threads has a result of many megabytes (once in eight, with 27 MB). headend
reads most readings with one thread.
"""
