//! Fuzz bodies: what must hold for any bytes. Run by `fuzz/` and, over its corpus, by the ordinary tests.
