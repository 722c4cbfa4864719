"""The SFTP server. Each supplier sees its own completed files, read-only, and logs in with a public key."""
