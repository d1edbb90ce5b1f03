"""What a cassette holds of tools: what was offered, what calls came to, what was verified."""
