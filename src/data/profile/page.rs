//! A profile as an HTML page without scripts: the suspects, then a card for each column.

use super::words::{MOST_COLUMNS, about, figures, left_out, shown, summary};
use super::{ColumnProfile, ColumnValues, TableProfile};
use crate::html::{escape, histogram, page_head, shortened};
use std::fmt::Write as _;

/// Categories that are listed.
const CATEGORIES: usize = 8;
/// Characters of a category that are shown.
const SHOWN: usize = 60;

const STYLE: &str = "\
<style>
.profile { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17em, 100%), 1fr)); gap: 1em; }
.profile article { border: 1px solid var(--line); padding: .8em 1em; min-width: 0; }
.profile h3 { margin-top: 0; } .profile svg { width: 100%; } .profile table { width: 100%; display: table; table-layout: fixed; }
.profile td { white-space: normal; } .profile td.name { width: 55%; } .profile td:last-child { padding-right: 0; } .ends { display: flex; justify-content: space-between; gap: 1em; font-size: .9em; }
.summary { font-size: .9em; }
</style>
";

/// The page of a profile.
pub fn page(profile: &TableProfile) -> String {
    let mut page = page_head(&format!("Profile of {}", profile.name));
    page.push_str(STYLE);
    let about = about(profile);
    let _ = writeln!(page, "<p>Of {}.</p>", escape(&about));
    page.push_str("<h2>Suspects</h2>\n");
    if profile.suspects.is_empty() {
        page.push_str("<p>No column is suspected to leak the target or to name the rows.</p>\n");
    } else {
        page.push_str("<ul>\n");
        for suspect in &profile.suspects {
            let _ = writeln!(page, "<li>{}", escape(&suspect.sentence));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("<h2>Columns</h2>\n<div class=\"profile\">\n");
    for column in profile.columns.iter().take(MOST_COLUMNS) {
        card(&mut page, column, profile.rows);
    }
    page.push_str("</div>\n");
    if let Some(more) = left_out(profile) {
        let _ = writeln!(page, "<p>{}</p>", escape(&more));
    }
    page.push_str("</html>\n");
    page
}

/// The card of a column of a table of `rows`.
fn card(page: &mut String, column: &ColumnProfile, rows: usize) {
    let _ = writeln!(
        page,
        "<article><h3>{}</h3>\n<p class=\"summary\">{}</p>",
        escape(&shortened(&column.name, SHOWN)),
        escape(&summary(column, rows))
    );
    match &column.values {
        ColumnValues::Empty => {}
        ColumnValues::Number(found) | ColumnValues::Date(found) => {
            let [min, max] = [found.min, found.max].map(|x| escape(&shown(column, x)));
            let label = format!("histogram of {}", shortened(&column.name, SHOWN));
            page.push_str(&histogram(&label, &found.histogram, "c0"));
            let _ = writeln!(
                page,
                "<div class=\"ends\"><span>{min}</span><span>{max}</span></div>\n<table>"
            );
            for (name, value) in figures(column, found) {
                let _ = writeln!(page, "<tr><td class=\"name\">{name}<td>{}", escape(&value));
            }
            page.push_str("</table>\n");
        }
        ColumnValues::Category { top } => categories(page, column, top, rows),
    }
    page.push_str("</article>\n");
}

/// A histogram of the most frequent categories, and a table of them.
fn categories(page: &mut String, column: &ColumnProfile, top: &[(String, usize)], rows: usize) {
    let label = format!(
        "frequencies of the most frequent categories of {}",
        shortened(&column.name, SHOWN)
    );
    let listed = &top[..top.len().min(CATEGORIES)];
    let counts: Vec<usize> = listed.iter().map(|(_, count)| *count).collect();
    page.push_str(&histogram(&label, &counts, "c2"));
    page.push_str("<table>\n");
    let present = (rows - column.missing).max(1) as f64;
    for (text, count) in listed {
        let _ = writeln!(
            page,
            "<tr><td class=\"name\">{}<td>{count}<td>{:.1}%",
            escape(&shortened(text, SHOWN)),
            100.0 * *count as f64 / present
        );
    }
    page.push_str("</table>\n");
    let more = column.distinct - listed.len();
    if more > 0 {
        let _ = writeln!(page, "<p class=\"summary\">and {more} more</p>");
    }
}
