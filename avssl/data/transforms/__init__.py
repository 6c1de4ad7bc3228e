"""What happens to a decoded clip before the network sees it."""
