//! Tests of `scrape`.
