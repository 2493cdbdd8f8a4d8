"""Asking a language model: requests and their keys, the cache of replies, direct and batched sending."""
