//! `report.html`: what a run wrote of its epochs and found in its evaluations, in one file without scripts.

mod norms;
mod pace;
mod page;
mod settings;
mod worst;

pub(super) use pace::ReportPace;
pub(super) use page::{Page, page};
pub(super) use worst::{MOST_SAMPLES, section as worst_section};
