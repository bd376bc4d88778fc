//! Settings of a bench, from the environment.

/// A number, or the default if it is not set.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
