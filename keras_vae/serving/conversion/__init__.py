"""Encoders and decoders for runtimes other than TensorFlow."""
