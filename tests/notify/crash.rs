//! The disk fails or the power goes at every operation.
