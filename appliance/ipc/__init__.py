"""What the processes share: values, the ring of events, and the audio tap, all in one memory."""
