"""The product beside a living FINRA: days pass, weeks are published and restated, and the service has bad days."""
