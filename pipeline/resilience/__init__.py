"""What fails and passes: errors in words, retries, connections, the clock, the order to stop."""
