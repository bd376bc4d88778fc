//! The command line as its users see it: texts, JSON, exit codes, and that a store is never touched.
