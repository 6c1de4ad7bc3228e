"""In which order clips come, and the workers that decode them."""
