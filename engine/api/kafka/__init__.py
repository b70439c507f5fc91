"""The engine on Kafka as the HTTP service sees it."""
