"""Encoders of images, texts and class names, the cache of their features, and class distances.

`registry.make_image_encoder` and `registry.make_text_encoder` turn a name into an `encoder.Encoder`;
`extract.extract` runs it over a catalogue. Import these modules directly: most of them import TensorFlow.
"""
