"""What a look teaches: from the memory before and what was seen to the memory after; pure."""
