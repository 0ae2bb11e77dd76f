"""What Holdfast costs, measured beside what people use today: `python -m benchmarks.run`."""
