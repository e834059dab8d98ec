"""From events to sound: the performer, the synth, the outputs, and the broadcast to listeners."""
