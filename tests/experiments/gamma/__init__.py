"""Tests of the study of dealers' gamma."""
