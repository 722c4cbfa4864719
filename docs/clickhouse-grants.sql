-- The permissions that headend needs in ClickHouse, for the database `headend` and the user `headend`.
-- Run the statements as an administrator, and replace the password. In READINGS_URL, percent-encode the password.

CREATE DATABASE IF NOT EXISTS headend;
CREATE USER IF NOT EXISTS headend IDENTIFIED WITH sha256_password BY 'replace this password';

-- The table: `manage.py setup` creates it. DROP TABLE is for `manage.py store destroy` only.
GRANT CREATE TABLE, DROP TABLE ON headend.readings TO headend;
GRANT TABLE ENGINE ON ReplacingMergeTree TO headend;

-- The columns of newer releases, in a table of an earlier one: added by the first write that needs them.
GRANT ALTER ADD COLUMN, ALTER MODIFY COLUMN ON headend.readings TO headend;

-- Readings. Deleting the partitions of old days needs ALTER DELETE. External tables of a query are temporary tables.
GRANT SELECT, INSERT, ALTER DELETE ON headend.readings TO headend;
GRANT CREATE TEMPORARY TABLE ON *.* TO headend;

-- Which days have changed, whether the table has the right columns and keys, and which inserts are running.
-- A user may always read these tables if the server has the default for select_from_system_db_requires_grant.
GRANT SELECT ON system.parts TO headend;
GRANT SELECT ON system.tables TO headend;
GRANT SELECT ON system.columns TO headend;
GRANT SELECT ON system.processes TO headend;
GRANT SELECT ON system.settings TO headend;
