//! Checks that the module graph is the one that the module headers declare.
