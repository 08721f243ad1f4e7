"""What the scenarios are told with: a scripted upstream, the real cache, and clients that see every byte."""
