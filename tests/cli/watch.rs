//! `wgrad watch`: the page of runs, who is served, and what damaged and hostile run folders do to it.

use super::sandbox::{CommandOutput, Sandbox};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The server, which ends with the test.
struct Watch {
    child: Child,
    /// Host and port.
    address: String,
}

/// A response: the head, and the body.
struct Response {
    head: String,
    body: String,
}

impl Watch {
    fn start(sandbox: &Sandbox, args: &str) -> Watch {
        let mut command = sandbox.command(&format!("watch {args}"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://");
        let address = address.and_then(|address| address.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("no address: {line:?}"));
        Watch {
            address: address.to_string(),
            child,
        }
    }

    /// The response to `request`.
    fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.write_all(request.as_ref()).unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        Response {
            head: head.to_string(),
            body: body.to_string(),
        }
    }

    fn get(&self, path: &str) -> Response {
        let host = &self.address;
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    /// The runs once they contain `wanted`.
    #[track_caller]
    fn runs_with(&self, wanted: &str) -> String {
        let start = Instant::now();
        loop {
            let response = self.get("/runs").is("200 OK");
            if response.body.contains(wanted) {
                return response.body;
            }
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_secs(30),
                "no {wanted:?} in: {}",
                response.body
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Response {
    #[track_caller]
    fn is(self, status: &str) -> Response {
        let line = self.head.lines().next().unwrap();
        assert_eq!(line, format!("HTTP/1.1 {status}"), "{}", self.body);
        self
    }
}

/// The card of the run `name`.
#[track_caller]
fn card<'a>(runs: &'a str, name: &str) -> &'a str {
    let begin = format!("<article data-run=\"{name}\">");
    let (_, card) = runs
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{name}: {runs}"));
    card.split("</article>").next().unwrap()
}

/// Trains into `out` for `epochs` epochs, in the background.
fn training(sandbox: &Sandbox, out: &str, epochs: u32) -> Child {
    let args =
        format!("train tiny.toml --data good --batch 8 --device cpu --out {out} --epochs {epochs}");
    let mut command = sandbox.command(&args);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().unwrap()
}

fn finished(sandbox: &Sandbox, out: &str) {
    let status = training(sandbox, out, 2).wait().unwrap();
    assert!(status.success());
}

#[test]
fn runs_are_shown_with_their_figures_while_they_train_end_and_vanish() {
    let sandbox = Sandbox::new();
    let watch = Watch::start(&sandbox, "");
    assert!(
        watch
            .runs_with("There is no folder runs yet")
            .starts_with("<p")
    );
    std::fs::create_dir(sandbox.path("runs")).unwrap();
    watch.runs_with("There are no runs in runs yet; wgrad train makes one.");
    finished(&sandbox, "runs/a");
    let runs = watch.runs_with("epoch 2 of 2");
    let done = card(&runs, "runs/a");
    for part in [
        "<span class=\"state finished\">finished</span>",
        "tiny on good",
        "<th scope=\"row\">loss</th>",
        "<th scope=\"row\">accuracy</th>",
        "best epoch by accuracy",
        "<figcaption>loss: ",
        "<figcaption>accuracy: ",
        "<details><summary>Settings</summary>",
        "last change ",
    ] {
        assert!(done.contains(part), "no {part} in {done}");
    }
    let metrics = std::fs::read_to_string(sandbox.path("runs/a/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    let loss = format!("<td>{:.4}</td>", last["test_loss"].as_f64().unwrap());
    assert!(done.contains(&loss), "no {loss} in {done}");

    let mut child = training(&sandbox, "runs/b", 1_000_000);
    let shown = |runs: &str| card(runs, "runs/b").to_string();
    let first = shown(&watch.runs_with("epoch 1"));
    assert!(first.contains(">training</span>"), "{first}");
    std::thread::sleep(Duration::from_secs(1));
    let later = shown(&watch.runs_with("<article"));
    let epoch = |card: &str| -> u64 {
        let (_, rest) = card.split_once("epoch ").unwrap();
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    assert!(epoch(&later) > epoch(&first), "{later}");
    child.kill().unwrap();
    child.wait().unwrap();
    watch.runs_with(">killed</span>");
    std::fs::remove_dir_all(sandbox.path("runs/a")).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let left = watch.get("/runs").body;
    assert!(
        !left.contains("runs/a") && left.contains("runs/b"),
        "{left}"
    );
}

/// Signals are sent by a command of Unix.
#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_says_so_and_a_signal_ends_the_server() {
    let sandbox = Sandbox::new();
    let mut watch = Watch::start(&sandbox, "run");
    let signal = |child: &Child, name: &str| {
        let mut kill = std::process::Command::new("kill");
        let status = kill.args([name, &child.id().to_string()]).status();
        assert!(status.unwrap().success());
    };
    let mut child = training(&sandbox, "run", 1_000_000);
    watch.runs_with("<svg");
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    watch.runs_with(">stopped</span>");
    let metrics = std::fs::read_to_string(sandbox.path("run/metrics.jsonl")).unwrap();
    let epochs = metrics.lines().count() + 1;
    sandbox
        .wgrad(&format!("train --resume run --epochs {epochs}"))
        .succeeds();
    watch.runs_with(">finished</span>");
    signal(&watch.child, "-INT");
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_length_in_steps_and_early_stopping_are_ends_of_a_run() {
    let sandbox = Sandbox::new();
    let train = "train tiny.toml --data good --batch 8 --device cpu";
    sandbox
        .wgrad(&format!("{train} --steps 4 --out runs/steps"))
        .succeeds();
    // A learning rate of nothing improves nothing.
    sandbox
        .wgrad(&format!(
            "{train} --epochs 50 --set patience=2 --lr 1e-30 --out runs/early"
        ))
        .succeeds();
    let watch = Watch::start(&sandbox, "--port 0");
    let runs = watch.get("/runs").is("200 OK").body;
    let steps = card(&runs, "runs/steps");
    assert!(steps.contains("step 4 of 4, epoch 2"), "{steps}");
    assert!(steps.contains(">finished</span>"), "{steps}");
    let early = card(&runs, "runs/early");
    assert!(early.contains("epoch 3 of 50, stopped early"), "{early}");
    assert!(early.contains(">finished</span>"), "{early}");
}

#[test]
fn only_this_machine_is_served_and_only_the_known_paths() {
    let sandbox = Sandbox::new();
    finished(&sandbox, "run");
    let watch = Watch::start(&sandbox, "run");
    let page = watch.get("/").is("200 OK");
    assert!(page.body.contains("<h1>run</h1>") && page.body.contains("<svg"));
    for header in [
        "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
        "X-Content-Type-Options: nosniff",
        "Content-Type: text/html; charset=utf-8",
    ] {
        assert!(page.head.contains(header), "{}", page.head);
    }
    // The page has no script of its own, and nothing from elsewhere.
    assert!(!page.body.contains("http") && !page.body.contains("style="));
    let path = |target: &str| watch.get(target);
    assert!(path("/style.css").is("200 OK").body.contains("polyline"));
    assert!(path("/update.js").is("200 OK").body.contains("fetch"));
    for unknown in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/run/run.toml",
        "/runs/",
        "/?x",
        "*",
        "http://evil.example/",
        "/favicon.ico",
    ] {
        path(unknown).is("404 Not Found");
    }
    let head = watch
        .ask("HEAD / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")
        .is("200 OK");
    assert_eq!(head.body, "");
    for host in ["localhost", "LocalHost:1", "127.0.0.1:99"] {
        watch
            .ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .is("200 OK");
    }
    for hosts in [
        "Host: evil.example\r\n",
        "Host: 127.0.0.1.evil.example\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "",
    ] {
        let refused = watch
            .ask(format!("GET /runs HTTP/1.1\r\n{hosts}\r\n"))
            .is("403 Forbidden");
        assert!(!refused.body.contains("<article"));
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let body = "Host: localhost\r\nContent-Length: 3\r\n\r\nabc";
        watch
            .ask(format!("{method} / HTTP/1.1\r\n{body}"))
            .is("405 Method Not Allowed");
    }
    watch.ask("\u{1}\r\n\r\n").is("400 Bad Request");
    watch.ask("GET / HTTP/9\r\n\r\n").is("400 Bad Request");
    let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(20_000));
    watch.ask(long).is("431 Request Header Fields Too Large");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    watch.ask(many).is("431 Request Header Fields Too Large");
}

#[test]
fn connections_that_say_nothing_end_and_others_are_served() {
    let sandbox = Sandbox::new();
    let watch = Watch::start(&sandbox, "");
    let silent: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(&watch.address).unwrap())
        .collect();
    let start = Instant::now();
    watch.get("/").is("200 OK");
    assert!(start.elapsed() < Duration::from_secs(15));
    let mut first = &silent[0];
    assert_eq!(first.read(&mut [0]).unwrap_or(0), 0, "it was ended");
}

#[test]
fn damaged_and_hostile_run_folders_are_sentences_beside_the_others() {
    let sandbox = Sandbox::new();
    finished(&sandbox, "runs/good");
    let settings = std::fs::read_to_string(sandbox.path("runs/good/run.toml")).unwrap();
    let run = |name: &str, settings: &str, metrics: &[u8]| {
        std::fs::create_dir_all(sandbox.path(&format!("runs/{name}"))).unwrap();
        sandbox.write(&format!("runs/{name}/run.toml"), settings);
        sandbox.write(&format!("runs/{name}/metrics.jsonl"), metrics);
    };
    run("lines", &settings, b"{\"epoch\": 1}\nnonsense\n");
    run("bytes", &settings, b"\xff\xfe\n");
    run(
        "deep",
        &settings,
        format!("{}\n", "[".repeat(100_000)).as_bytes(),
    );
    run("long", &settings, &vec![b' '; 9 << 20]);
    run("key", "epoch = 3\n", b"");
    run("reads", "model = \"/etc/passwd\"\n", b"");
    run("nested", &format!("a = {}", "[".repeat(100_000)), b"");
    let large = "{\"epoch\": 1, \"train_loss\": 5e-324, \"test_loss\": 0.0}\n\
                 {\"epoch\": 18446744073709551615, \"train_loss\": -1.7e308, \"test_loss\": 1.7e308}\n";
    run("numbers", &settings, large.as_bytes());
    let script = "{\"epoch\": 1, \"part\": \"<script>\", \"train_loss\": \"<script>\", \"test_loss\": 0.5}\n";
    let title = settings.replace("name = \"tiny\"", "name = \"<script>\\u001b\\u202e\"");
    assert_ne!(title, settings);
    run("script", &title, script.as_bytes());
    std::fs::create_dir(sandbox.path("runs/notes")).unwrap();
    #[cfg(unix)]
    {
        run("pipe", &settings, b"");
        run("endless", &settings, b"");
        for name in ["pipe/metrics.jsonl", "pipe/.wgrad.lock"] {
            let path = sandbox.path(&format!("runs/{name}"));
            let _ = std::fs::remove_file(&path);
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }
        let path = sandbox.path("runs/endless/metrics.jsonl");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        std::fs::create_dir(sandbox.path("runs/\"><script>")).unwrap();
        sandbox.write("runs/\"><script>/run.toml", "epochs = 0");
    }
    let watch = Watch::start(&sandbox, "");
    let runs = watch.get("/runs").is("200 OK").body;
    assert!(runs.len() < 200_000, "{} bytes", runs.len());
    let says = |name: &str, part: &str| {
        let card = card(&runs, &format!("runs/{name}"));
        assert!(card.contains(part), "no {part} in {card}");
    };
    says("good", ">finished</span>");
    says(
        "lines",
        "The run cannot be shown: metrics.jsonl is damaged: line 2 is not an epoch.",
    );
    says("bytes", "metrics.jsonl is damaged: it is not UTF-8 text.");
    says("deep", "metrics.jsonl is damaged: line 1 is not an epoch.");
    says("long", "metrics.jsonl is larger than 8 MiB.");
    says("key", "did you mean `epochs`?");
    says("reads", "The run cannot be shown: ");
    says("nested", "The run cannot be shown: run.toml, line 1");
    says("numbers", "<svg");
    says("script", "&lt;script&gt;\\u{1b}\\u{202e} on good");
    #[cfg(unix)]
    {
        says("pipe", "metrics.jsonl is not a file.");
        says("endless", "metrics.jsonl is not a file.");
        says("&quot;&gt;&lt;script&gt;", "The run cannot be shown: ");
    }
    for hostile in [
        "<script",
        "NaN",
        "root:",
        "\u{1b}",
        "\u{202e}",
        "runs/notes",
    ] {
        assert!(!runs.contains(hostile), "{hostile} in {runs}");
    }
}

#[test]
fn the_address_is_one_line_or_json_and_a_bad_one_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    sandbox
        .wgrad("watch file")
        .fails(2, &["file is a file", "folder"]);
    let watch = Watch::start(&sandbox, "");
    let port = watch.address.strip_prefix("127.0.0.1:").unwrap();
    sandbox
        .wgrad(&format!("watch --port {port}"))
        .fails(2, &[&format!("cannot listen on port {port}"), "--port"]);
    let mut child = sandbox
        .command("watch --json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    let output = CommandOutput::from(child.wait_with_output().unwrap());
    let address = output.json()[0]["address"].as_str().unwrap().to_string();
    assert!(address.starts_with("http://127.0.0.1:"), "{address}");
    assert!(output.err.contains("note: runs does not exist yet"));
}
