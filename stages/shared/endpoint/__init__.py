"""An endpoint that speaks the OpenAI API: the client, sending through its limits and faults, and what it may cost."""
