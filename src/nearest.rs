//! The known name most similar to a misspelt one.

/// Below this similarity two names have hardly a letter in common.
const ALIKE: f64 = 0.7;

/// The most similar of `known` by Jaro-Winkler similarity, and the similarity from 0 to 1. Of equally similar ones, it is the
/// first in alphabetical order.
fn most_similar<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<(f64, &'a str)> {
    known
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .max_by(|(a, m), (b, n)| a.total_cmp(b).then_with(|| n.cmp(m)))
}

/// The most similar of `known`, however little it has in common with `wanted`.
pub(crate) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    most_similar(wanted, known).map(|(_, name)| name)
}

/// The end of a message about an unknown name: a suggestion, or nothing if no known name is similar.
pub(crate) fn did_you_mean<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    match most_similar(wanted, known) {
        Some((similarity, name)) if similarity > ALIKE => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}
