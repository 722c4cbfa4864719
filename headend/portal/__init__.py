"""The pages that show readings and exports together."""
