"""How events get in: what is sent over HTTP or Kafka, judged, and put on the log or refused."""
