"""The SFTP server: each supplier's home, read-only, by public key."""
