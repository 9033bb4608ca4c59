//! The paths of the site, and who may ask for them.

use super::follower::Follower;
use super::http::{Request, Response};
use crate::cli::plain;
use wgrad::html::escape;
use wgrad::html::plot;

const PAGE: &str = include_str!("../../../assets/watch/page.html");
const STYLE: &str = include_str!("../../../assets/watch/style.css");
const SCRIPT: &str = include_str!("../../../assets/watch/update.js");

/// The page and what it loads.
pub(super) struct Site {
    follower: Follower,
}

impl Site {
    pub(super) fn new(follower: Follower) -> Site {
        Site { follower }
    }

    /// The response to a request. Only its method, its path and its host count.
    pub(super) fn respond(&self, request: &Request) -> Response {
        // A page elsewhere can name this machine by a host name of its own (DNS rebinding).
        if !matches!(&request.hosts[..], [host] if is_local(host)) {
            return Response::refusal(
                "403 Forbidden",
                "The page is only served to this machine, as 127.0.0.1 or localhost.",
            );
        }
        if !["GET", "HEAD"].contains(&&*request.method) {
            return Response::refusal("405 Method Not Allowed", "Only GET and HEAD are answered.");
        }
        let (content_type, body) = match request.path.as_str() {
            "/" => ("text/html; charset=utf-8", self.page()),
            "/runs" => (
                "text/html; charset=utf-8",
                self.follower.fragment().to_string(),
            ),
            "/style.css" => ("text/css; charset=utf-8", [plot::STYLE, STYLE].concat()),
            "/update.js" => ("text/javascript; charset=utf-8", SCRIPT.to_string()),
            _ => return Response::refusal("404 Not Found", "There is no such page."),
        };
        Response {
            status: "200 OK",
            content_type,
            body,
        }
    }

    /// The page with the runs as they are now.
    fn page(&self) -> String {
        let folder = self.follower.path().display().to_string();
        let folder = escape(&plain(&folder));
        let (head, end) = PAGE.split_once("{runs}").unwrap_or((PAGE, ""));
        let head = head.replace("{folder}", &folder);
        [&head, &*self.follower.fragment(), end].concat()
    }
}

/// Whether a `Host` header names this machine, with any port or without one.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|local| name.eq_ignore_ascii_case(local))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn hosts_of_this_machine_have_any_port() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:5000",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "localhost:x",
            "::1",
            "127.0.0.1:80:80",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
