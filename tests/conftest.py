"""Settings of the whole suite."""

from hypothesis import settings

# How long one example takes says how busy the machine is, and nothing about the code.
settings.register_profile("eventpipeline", deadline=None)
settings.load_profile("eventpipeline")
