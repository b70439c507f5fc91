"""The engine on Kafka: four kinds of worker over the same core."""
