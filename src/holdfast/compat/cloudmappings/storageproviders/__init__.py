"""The providers of cloud-mappings 0.7."""
