"""What server and client say to each other: JSON as TensorFlow Serving has it, codes, specifications."""
