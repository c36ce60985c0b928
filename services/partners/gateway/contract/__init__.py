"""The contract as others read it: the page, JSON Schemas, AsyncAPI, and an example of every event."""
