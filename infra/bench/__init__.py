"""Benchmarks: measured, printed, never a target. README.md says how to run them and what they told."""
