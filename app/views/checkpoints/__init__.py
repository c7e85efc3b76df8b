"""What the Checkpoints page is made of; each module draws one part and reports what a person chose."""
