"""A local ClickHouse: it serves ClickHouse's HTTP interface, and the real engine (chDB, in this process) runs the queries.

Differences to a server: one user, without access control; no sessions, clusters, replication or replicated tables.
"""
