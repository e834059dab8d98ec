"""From a model file to music: the runtimes, the sampler, the composer and what watches it."""
