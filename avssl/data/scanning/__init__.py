"""What a scan does with each file: workers with limits, hashes, and what is known from before."""
