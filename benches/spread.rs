//! Three numbers for many rounds: other work on the machine changes the speed of all, so one alone says little.

/// Smallest, middle and greatest.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let at = |n: usize| values.get(n).map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let last = values.len().saturating_sub(1);
    format!("{} / {} / {}", at(0), at(last / 2), at(last))
}

/// Seconds that `work` took, and what it gave.
pub(crate) fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = std::time::Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}
