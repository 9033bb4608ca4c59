//! The division of a step into dispatches and submissions that are short enough for a desktop system, which resets a GPU that is
//! busy with one of them for long (Windows after 2 s), and draws nothing meanwhile.

use super::commands::Command;
use super::pipelines::Pipeline;
use crate::error::Result;
use crate::plan::resolve::fold;
use crate::plan::{Access, Launch, Plan};
use std::ops::Range;
use std::sync::Arc;

/// What is submitted at once before it was ever timed, in floating-point operations and bytes: a tenth of a second on a GPU that
/// does 10 billion of them per second.
const UNTIMED: f64 = 1e9;

/// The maximum number of pieces of a launch.
const MOST_PIECES: u64 = 64;

/// Seconds that a submission takes at most, if its pieces are short enough.
const SECONDS: f64 = 0.25;

/// A launch in pieces, which can be dispatched alone or together with their neighbours.
pub(super) struct PiecedLaunch {
    pub pipeline: Arc<Pipeline>,
    /// The first workgroup of each piece, and the bind group with its number.
    pub pieces: Vec<(u64, wgpu::BindGroup)>,
    pub workgroups: u64,
    /// Floating-point operations and bytes.
    pub cost: f64,
}

impl PiecedLaunch {
    /// The pieces `range` as one dispatch.
    ///
    /// # Errors
    /// If the adapter can't launch that many workgroups.
    fn dispatch(&self, range: Range<usize>, max_workgroups: u32) -> Result<Command> {
        let (first, bind_group) = &self.pieces[range.start];
        let end = self.pieces.get(range.end).map_or(self.workgroups, |p| p.0);
        Ok(Command::Dispatch {
            pipeline: self.pipeline.clone(),
            bind_group: bind_group.clone(),
            grid: fold(end - first, max_workgroups)?,
        })
    }
}

/// A step of a plan on the device.
pub(super) enum Work {
    Launch(PiecedLaunch),
    /// A copy.
    Copy(Command),
}

impl Work {
    fn pieces(&self) -> usize {
        match self {
            Work::Launch(launch) => launch.pieces.len(),
            Work::Copy(_) => 1,
        }
    }
}

/// Floating-point operations and bytes of `launch`.
pub(super) fn cost(plan: &Plan, launch: &Launch) -> f64 {
    let operands = launch.operands.iter();
    let bytes = operands.map(|operand| plan.values[operand.value.index()].bytes as f64);
    launch.flops as f64 + bytes.sum::<f64>()
}

/// The first workgroups of the pieces of `launch`: one piece on a software adapter, which no watchdog resets, and for launches
/// that update in place, because a folded grid may run a workgroup twice.
pub(super) fn starts(plan: &Plan, launch: &Launch) -> Vec<u64> {
    let in_place = launch
        .operands
        .iter()
        .any(|o| o.access == Access::ReadWrite);
    let pieces = match in_place || plan.target.software {
        true => 1,
        false => ((cost(plan, launch) / UNTIMED).ceil() as u64).min(MOST_PIECES),
    };
    let pieces = pieces.clamp(1, launch.workgroups.max(1));
    let start = |piece: u64| launch.workgroups * piece / pieces;
    (0..pieces).map(start).collect()
}

/// The commands of a step, and their division into submissions.
#[derive(Default)]
pub(super) struct Division {
    pub commands: Vec<Command>,
    /// For each step of the plan, the end of its commands.
    pub ends: Vec<usize>,
    /// The ends of the submissions in `commands`.
    pub submissions: Vec<usize>,
}

impl Division {
    /// Everything in one submission, each launch as one dispatch.
    ///
    /// # Errors
    /// If the adapter can't launch that many workgroups.
    pub fn whole(works: &[Work], max_workgroups: u32) -> Result<Division> {
        let pieces = works.iter().map(Work::pieces).sum();
        Self::of(works, std::slice::from_ref(&(0..pieces)), max_workgroups)
    }

    /// The division into the submissions `ranges` of the pieces of all `works`, counted one after another. Pieces of a launch that
    /// belong to one submission are one dispatch.
    ///
    /// # Errors
    /// If the adapter can't launch that many workgroups.
    fn of(works: &[Work], ranges: &[Range<usize>], max_workgroups: u32) -> Result<Division> {
        let mut division = Division::default();
        let mut ranges = ranges.iter().peekable();
        let mut first = 0;
        for work in works {
            let end = first + work.pieces();
            let mut at = first;
            while let Some(range) = ranges.peek().filter(|_| at < end) {
                let until = range.end.min(end);
                division.commands.push(match work {
                    Work::Launch(launch) => {
                        launch.dispatch(at - first..until - first, max_workgroups)?
                    }
                    Work::Copy(command) => command.clone(),
                });
                at = until;
                if until == range.end {
                    division.submissions.push(division.commands.len());
                    ranges.next();
                }
            }
            division.ends.push(division.commands.len());
            first = end;
        }
        Ok(division)
    }

    /// The ranges of `commands` that are submitted one after another.
    pub fn submitted(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.submissions.iter().copied());
        starts
            .zip(&self.submissions)
            .map(|(start, &end)| start..end)
    }
}

/// A step that is to be timed, because it may be too long for one submission.
pub(super) struct Untimed {
    /// Ranges of pieces that are submitted and timed alone.
    groups: Vec<Range<usize>>,
    seconds: f64,
}

impl Untimed {
    /// `None` if `works` are certainly short.
    pub fn new(plan: &Plan, works: &[Work]) -> Option<Untimed> {
        let costs = works.iter().flat_map(|work| {
            let (cost, pieces) = match work {
                Work::Launch(launch) => (launch.cost, launch.pieces.len()),
                Work::Copy(_) => (0.0, 1),
            };
            std::iter::repeat_n(cost / pieces as f64, pieces)
        });
        let costs: Vec<f64> = costs.collect();
        let long = costs.iter().sum::<f64>() > 2.0 * UNTIMED && !plan.target.software;
        long.then(|| Untimed {
            groups: groups(&costs, UNTIMED),
            seconds: SECONDS,
        })
    }

    /// The division by which the step is run and timed: a submission for each group.
    ///
    /// # Errors
    /// If the adapter can't launch that many workgroups.
    pub fn division(&self, works: &[Work], max_workgroups: u32) -> Result<Division> {
        Division::of(works, &self.groups, max_workgroups)
    }

    /// The division for the `times` that the submissions took, in seconds.
    ///
    /// # Errors
    /// If the adapter can't launch that many workgroups.
    pub fn timed(&self, works: &[Work], times: &[f64], max_workgroups: u32) -> Result<Division> {
        let together = groups(times, self.seconds);
        let pieces = together
            .iter()
            .map(|range| self.groups[range.start].start..self.groups[range.end - 1].end);
        Division::of(works, &pieces.collect::<Vec<_>>(), max_workgroups)
    }

    /// The same with submissions of `seconds`.
    #[cfg(test)]
    pub fn with_seconds(self, seconds: f64) -> Untimed {
        Untimed { seconds, ..self }
    }
}

/// Neighbours that add up to no more than `most`, or are alone.
fn groups(sizes: &[f64], most: f64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut sum = 0.0;
    for (at, size) in sizes.iter().enumerate() {
        sum += size;
        match groups.last_mut() {
            Some(last) if sum <= most => last.end = at + 1,
            _ => {
                groups.push(at..at + 1);
                sum = *size;
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_together_up_to_the_limit() {
        assert!(groups(&[], 1.0).is_empty());
        assert_eq!(groups(&[1.0, 2.0, 3.0], 3.0), [0..2, 2..3]);
        assert_eq!(
            groups(&[9.0, 1.0, 9.0, 1.0, 2.0], 3.0),
            [0..1, 1..2, 2..3, 3..5]
        );
        assert_eq!(groups(&[0.0, 0.0, 0.0, 1.0], 0.5), [0..3, 3..4]);
    }
}
