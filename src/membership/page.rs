//! What attacks found out about runs as a page without scripts: ROC curves, histograms of the scores, and a table.

use super::{MembershipAttack, MembershipFinding, MembershipScores};
use crate::html::plot::{Axis, Bar, COLOURS, Curve, Plot};
use crate::html::{escape, page_head};
use std::fmt::Write as _;

/// Bars of a histogram.
const BARS: usize = 40;
/// Share of the scores at each end of a histogram that its last bars hold.
const TAIL: f64 = 0.005;
/// Distance between points of a curve on the logarithmic axes, as a ratio.
const LEAST_RATIO: f64 = 1.01;

/// The page of what attacks found out, called `title`.
pub fn membership_page(title: &str, findings: &[MembershipFinding]) -> String {
    let mut page = page_head(title);
    page.push_str(
        "<p>An attacker who is given a sample and the model guesses whether the model was trained on it. The curve shows which share of \
         the members is found at which share of others that are taken for members; the dashed line is guessing without the model.</p>\n",
    );
    page.push_str(&curves(findings));
    page.push_str(&table(findings));
    page.push_str("<h2>Scores</h2>\n");
    for finding in findings {
        page.push_str(&histogram(finding));
    }
    page.push_str("</html>\n");
    page
}

/// All ROC curves, with logarithmic axes.
fn curves(findings: &[MembershipFinding]) -> String {
    let rates = |title: &str, count: fn(&MembershipScores) -> usize| {
        let counts = findings.iter().map(|finding| count(&finding.scores));
        let smallest = 1.0 / counts.max().unwrap_or(1).max(10) as f64;
        Axis::logarithmic(title, [smallest, 1.0].into_iter())
    };
    let x = rates("others taken for members", |scores| scores.others.len());
    let y = rates("members found", |scores| scores.members.len());
    let (Some(x), Some(y)) = (x, y) else {
        return String::new();
    };
    let low = f64::max(x.range[0], y.range[0]);
    let mut curves = vec![Curve::line("", "quiet", vec![(low, low), (1.0, 1.0)])];
    for (number, finding) in findings.iter().enumerate() {
        let name = format!("{} of {}", finding.attack.title(), finding.run);
        let class = format!("c{}", number % COLOURS);
        curves.push(Curve::line(&name, &class, drawn(finding)));
    }
    let plot = Plot {
        title: "ROC curves".to_string(),
        x,
        y,
        bars: Vec::new(),
        curves,
    };
    plot.html()
}

/// The points of a curve that logarithmic axes show apart from each other.
fn drawn(finding: &MembershipFinding) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let points = finding.curve.points();
    let last = points.last().copied();
    for point in points.into_iter().filter(|(x, y)| *x > 0.0 && *y > 0.0) {
        let apart = kept.last().is_none_or(|before| {
            point.0 > before.0 * LEAST_RATIO || point.1 > before.1 * LEAST_RATIO
        });
        if apart || Some(point) == last {
            kept.push(point);
        }
    }
    kept
}

fn table(findings: &[MembershipFinding]) -> String {
    let mut table = "<table class=\"whole\">\n<tr><th class=\"name\">run<th>attack<th>AUC<th>95% interval<th>accuracy<th>TPR at 1% FPR\
                     <th>TPR at 0.1% FPR<th>loss of members<th>loss of others<th>members<th>others<th>shadow runs\n"
        .to_string();
    for finding in findings {
        let [low, high] = finding.interval;
        let [of_members, of_others] = match finding.losses {
            Some(losses) => losses.map(|loss| format!("{loss:.4}")),
            None => ["–", "–"].map(str::to_string),
        };
        let _ = writeln!(
            table,
            "<tr><td class=\"name\">{}<td>{}<td>{:.4}<td>{low:.4} to {high:.4}<td>{:.2}%<td>{:.2}%<td>{:.2}%<td>{of_members}<td>{of_others}\
             <td>{}<td>{}<td>{}",
            escape(&finding.run),
            finding.attack.title(),
            finding.auc,
            100.0 * finding.accuracy,
            100.0 * finding.tpr_at_1_percent,
            100.0 * finding.tpr_at_0_1_percent,
            finding.scores.members.len(),
            finding.scores.others.len(),
            finding.shadows
        );
    }
    table.push_str("</table>\n");
    table
}

/// The scores of members and of others, over each other. Those beyond the ends are counted in the last bars.
fn histogram(finding: &MembershipFinding) -> String {
    let groups = [
        (&finding.scores.members, "train"),
        (&finding.scores.others, "test"),
    ];
    let mut all: Vec<f64> = groups
        .iter()
        .flat_map(|(own, _)| own.iter().copied())
        .collect();
    all.sort_by(f64::total_cmp);
    let tail = (TAIL * all.len() as f64) as usize;
    let ends = [all.get(tail), all.get(all.len().saturating_sub(tail + 1))];
    let [Some(&low), Some(&high)] = ends else {
        return String::new();
    };
    let title = match finding.attack {
        MembershipAttack::Loss => "log(p / (1 - p)) of the own class",
        MembershipAttack::Lira => "log-likelihood ratio",
    };
    let Some(x) = Axis::over(title, [low, high].into_iter()) else {
        return String::new();
    };
    let [low, high] = x.range;
    let width = (high - low) / BARS as f64;
    let mut bars = Vec::new();
    for (scores, class) in groups {
        let mut counts = [0_u32; BARS];
        for score in scores {
            let place = ((score - low) / width).clamp(0.0, (BARS - 1) as f64);
            counts[place as usize] += 1;
        }
        for (place, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let left = low + place as f64 * width;
            bars.push(Bar {
                x: [left, left + width],
                y: f64::from(count),
                class,
            });
        }
    }
    let heights = bars.iter().map(|bar| bar.y).chain([0.0]);
    let Some(y) = Axis::over("samples", heights) else {
        return String::new();
    };
    let plot = Plot {
        title: format!("{} of {}", finding.attack.title(), finding.run),
        x,
        y,
        bars,
        curves: vec![
            Curve::line("members", "train", Vec::new()),
            Curve::line("others", "test", Vec::new()),
        ],
    };
    plot.html()
}
