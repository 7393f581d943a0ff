//! Words and where they may stand.
