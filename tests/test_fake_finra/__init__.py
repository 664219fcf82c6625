"""Tests of the FINRA that the other tests run against."""
