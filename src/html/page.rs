//! The head of a page: what every page begins with, up to its heading.

use super::{escape, plot};

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
"#;

const STYLE: &str = "\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2em auto; padding: 0 1em; overflow-wrap: anywhere; }
h1 { font-size: 1.4em; margin-bottom: .2em; } h2 { font-size: 1.15em; margin: 2em 0 .4em; } h3 { font-size: 1em; margin: 1em 0 .3em; }
p { margin: .4em 0; max-width: 48em; } figure { display: inline-block; vertical-align: top; margin: .5em 1em .5em 0; max-width: 100%; }
figcaption { font-size: .9em; max-width: 440px; } svg { display: block; max-width: 100%; height: auto; }
table { border-collapse: collapse; display: block; overflow: auto; max-height: 32em; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
table.whole { max-height: none; } th, td { padding: .2em .8em; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; } .name, .text { text-align: left; }
td.text { white-space: normal; min-width: 28em; overflow-wrap: anywhere; } td.bar { min-width: 10em; } meter { width: 100%; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); gap: .8em; }
.cards figure { margin: 0; } .pixels { width: 96px; image-rendering: pixelated; display: block; }
pre { padding: 1em; border: 1px solid var(--line); max-height: 32em; overflow: auto; font-size: 13px; overflow-wrap: normal; }
@media (max-width: 480px) { body { margin: 1em auto; } figure { margin-right: 0; } th, td { padding: .2em .5em; } svg text { font-size: 15px; } }
</style>
";

/// The beginning of a page called `title`: styles, and the title as a heading.
pub fn page_head(title: &str) -> String {
    let title = escape(title);
    [
        HEAD,
        plot::STYLE,
        STYLE,
        &format!("<title>{title}</title>\n<h1>{title}</h1>\n"),
    ]
    .concat()
}
