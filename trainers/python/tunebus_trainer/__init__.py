"""The trainer of tunebus for TRL: it speaks the trainer protocol, version 1."""
