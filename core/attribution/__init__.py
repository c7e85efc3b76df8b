"""Why the model said so: what each input gave to the answer."""
