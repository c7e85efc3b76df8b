"""What a prediction costs: alternatives in turns, counted work, and the least time that work could take."""
