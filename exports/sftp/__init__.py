"""The SFTP server. Each supplier logs in with a public key and sees its own completed files."""
