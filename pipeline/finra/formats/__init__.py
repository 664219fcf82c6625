"""The formats that FINRA publishes in: each module turns a payload into `pipeline.finra.content.Content`."""
