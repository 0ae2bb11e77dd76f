"""The providers of cloud-mappings 2.x."""
