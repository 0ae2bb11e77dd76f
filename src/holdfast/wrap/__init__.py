"""Native wrappers: each module changes one thing about the store below it."""
