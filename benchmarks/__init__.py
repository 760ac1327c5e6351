"""Measurements of keras_vae against other libraries; not part of the installed package."""
