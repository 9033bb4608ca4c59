//! The rows of `wgrad check` as JUnit XML: a suite for the gradient rules and for each adapter, a test case for each row.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use wgrad::check::Group;

/// The rows under one title.
pub(super) struct Suite {
    title: String,
    pub groups: Vec<Group>,
}

impl Suite {
    pub fn new(title: &str) -> Suite {
        Suite {
            title: title.to_string(),
            groups: Vec::new(),
        }
    }

    /// An element with the counts of the suite.
    fn element(&self) -> BytesStart<'static> {
        let failures = self.groups.iter().filter(|group| !group.ok).count();
        let seconds: f64 = self.groups.iter().map(|group| group.seconds).sum();
        element(
            "testsuite",
            &[
                ("name", &self.title),
                ("tests", &self.groups.len().to_string()),
                ("failures", &failures.to_string()),
                ("time", &format!("{seconds:.3}")),
            ],
        )
    }
}

/// The text of the file.
///
/// # Errors
/// None in practice: it is written to memory.
pub(super) fn text(suites: &[Suite]) -> std::io::Result<Vec<u8>> {
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let root = element("testsuites", &[("name", "wgrad check")]);
    out.write_event(Event::Start(root))?;
    for suite in suites {
        out.write_event(Event::Start(suite.element()))?;
        suite
            .groups
            .iter()
            .try_for_each(|group| case(&mut out, group))?;
        out.write_event(Event::End(BytesEnd::new("testsuite")))?;
    }
    out.write_event(Event::End(BytesEnd::new("testsuites")))?;
    let mut text = out.into_inner();
    text.push(b'\n');
    Ok(text)
}

fn element(name: &'static str, attributes: &[(&str, &str)]) -> BytesStart<'static> {
    BytesStart::new(name).with_attributes(attributes.iter().copied())
}

fn case(out: &mut Writer<Vec<u8>>, group: &Group) -> std::io::Result<()> {
    let name = format!("{} {} {}", group.op, group.pass, group.variant);
    let seconds = format!("{:.3}", group.seconds);
    let case = element(
        "testcase",
        &[("name", &name), ("classname", group.op), ("time", &seconds)],
    );
    if group.ok {
        return out.write_event(Event::Empty(case));
    }
    let message = format!(
        "error {:.1e}, tolerance {:.1e}",
        group.worst_error, group.tolerance
    );
    let failure = element("failure", &[("message", &message)]);
    let why = group.failure.as_deref().unwrap_or_default();
    out.write_event(Event::Start(case))?;
    out.write_event(Event::Start(failure))?;
    out.write_event(Event::Text(BytesText::new(why)))?;
    out.write_event(Event::End(BytesEnd::new("failure")))?;
    out.write_event(Event::End(BytesEnd::new("testcase")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_test_case_with_its_reason() {
        let right = Group {
            op: "relu",
            pass: "forward",
            variant: "default",
            seconds: 0.25,
            cases: 3,
            worst_error: 0.0,
            tolerance: 2e-5,
            ok: true,
            failure: None,
        };
        let wrong = Group {
            pass: "backward",
            worst_error: 0.5,
            ok: false,
            failure: Some("1 < 2 & \"3\"".to_string()),
            ..right.clone()
        };
        let suite = Suite {
            title: "kernels".to_string(),
            groups: vec![right, wrong],
        };
        let text = String::from_utf8(text(&[suite]).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="wgrad check">
  <testsuite name="kernels" tests="2" failures="1" time="0.500">
    <testcase name="relu forward default" classname="relu" time="0.250"/>
    <testcase name="relu backward default" classname="relu" time="0.250">
      <failure message="error 5.0e-1, tolerance 2.0e-5">1 &lt; 2 &amp; &quot;3&quot;</failure>
    </testcase>
  </testsuite>
</testsuites>
"#
        );
    }
}
