"""The built-in video generator: scenes it learns from, autoencoder, transformer, sampler, upsampler."""
