"""Frozen encoders of images and texts, by name, and the cache of what they give.

`encoders.make_image_encoder` and `make_text_encoder` turn a name into an `encoder.Encoder`;
`extract.extract` runs it over a catalogue. Import those files directly: they pull in TensorFlow.
"""
