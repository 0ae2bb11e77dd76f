"""Small programs that use Holdfast; each runs as it is, and as a test."""
