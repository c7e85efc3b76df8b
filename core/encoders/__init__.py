"""Text, audio and video encoders, and where their pretrained weights come from."""
