//! Networks as pages: in a browser's WebGPU a page gives the probabilities that `wgrad predict` gives. Chromium runs it, with its
//! software adapter; where there is none, the test says so.

use super::sandbox::Sandbox;
use image::{GrayImage, Rgb, RgbImage};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// A page that computes the probabilities for all pictures and posts them.
const TEST: &str = r#"<!doctype html><script type="module">
import { loadNetwork } from './wgrad.js';
import { answer, softmax } from './page.js';
const post = (body) => fetch('/result', { method: 'POST', body: JSON.stringify(body) });
try {
  const network = await loadNetwork('.');
  const names = await (await fetch('pictures.json')).json();
  const found = {};
  for (const name of names) {
    const bitmap = await createImageBitmap(await (await fetch(name)).blob());
    const { outputs } = await answer(network, bitmap);
    found[name] = softmax(Object.values(outputs)[0]);
  }
  await post({ found });
} catch (error) {
  await post({ error: String(error) });
}
</script>"#;

/// The browser, if there is one.
fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let mut paths =
        std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    paths.find(|path| path.is_file())
}

/// Answers one request for a file of `folder`; what is posted is sent.
fn serve(stream: &TcpStream, folder: &Path, posted: &Sender<Vec<u8>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    let mut stream = stream;
    if method == "POST" {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let _ = posted.send(body);
        return stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }
    let name = path.trim_start_matches('/');
    let (status, body) = match fs::read(folder.join(name)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let ending = Path::new(name).extension().and_then(|e| e.to_str());
    let kind = match ending {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

/// A server for `folder`, in threads that end with the test, and what is posted to it.
fn server(folder: PathBuf) -> (u16, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, sender) = (folder.clone(), sender.clone());
            // A browser that goes away needs no answer.
            thread::spawn(move || serve(&stream, &folder, &sender));
        }
    });
    (port, receiver)
}

/// A browser, which is ended with the test.
struct Browser(Child);

impl Browser {
    fn open(program: &Path, profile: &Path, address: &str) -> Browser {
        let child = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--no-first-run",
                "--disable-dev-shm-usage",
            ])
            .args(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(address)
            .env_remove("VK_DRIVER_FILES")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Browser(child)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pictures of the size of the network, of other sizes and shapes, grey and in colour.
fn pictures(sandbox: &Sandbox) -> Vec<String> {
    let noise = |x: u32, y: u32, c: u32| ((x * 31 + y * 57 + c * 101) * (x + 3) % 251) as u8;
    let sizes = [(8, 8), (19, 8), (8, 30), (5, 6), (33, 21)];
    let mut names = Vec::new();
    for (at, (width, height)) in sizes.into_iter().enumerate() {
        let grey = GrayImage::from_fn(width, height, |x, y| image::Luma([noise(x, y, 0)]));
        let colours = RgbImage::from_fn(width, height, |x, y| {
            Rgb([noise(x, y, 1), noise(x, y, 2), noise(x, y, 3)])
        });
        let name = format!("grey{at}.png");
        grey.save(sandbox.path("web").join(&name)).unwrap();
        names.push(name);
        let name = format!("colour{at}.png");
        colours.save(sandbox.path("web").join(&name)).unwrap();
        names.push(name);
    }
    names
}

#[test]
fn a_page_gives_the_probabilities_of_predict() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    let json = sandbox
        .wgrad("export run --web --out web --json")
        .succeeds();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["format"], "web");
    for file in [
        "index.html",
        "wgrad.js",
        "picture.js",
        "page.js",
        "network.json",
        "weights.bin",
    ] {
        assert!(sandbox.path("web").join(file).is_file(), "{file}");
    }
    let Some(program) = chromium() else {
        eprintln!("skipped: there is no Chromium to run the page");
        return;
    };
    let names = pictures(&sandbox);
    sandbox.write("web/pictures.json", serde_json::to_vec(&names).unwrap());
    sandbox.write("web/test.html", TEST);
    let (port, posted) = server(sandbox.path("web"));
    let address = format!("http://127.0.0.1:{port}/test.html");
    let _browser = Browser::open(&program, &sandbox.path("profile"), &address);
    let posted = posted
        .recv_timeout(Duration::from_secs(120))
        .expect("the page answers");
    let posted: Value = serde_json::from_slice(&posted).unwrap();
    assert_eq!(posted.get("error"), None);
    let files: Vec<String> = names.iter().map(|name| format!("web/{name}")).collect();
    let predicted = sandbox
        .wgrad(&format!(
            "predict run {} --device cpu --json",
            files.join(" ")
        ))
        .succeeds();
    let lines: Vec<Value> = predicted
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), names.len());
    for (name, line) in names.iter().zip(&lines) {
        let have = posted["found"][name].as_array().unwrap();
        let top = line["top"].as_array().unwrap();
        assert_eq!((have.len(), top.len()), (3, 3), "{name}: {line}");
        for share in top {
            let class: usize = share["class"].as_str().unwrap().parse().unwrap();
            let (have, want) = (have[class].as_f64(), share["probability"].as_f64());
            // A pixel may be rounded to the other side.
            let difference = (have.unwrap() - want.unwrap()).abs();
            assert!(difference < 2e-3, "{name}: {have:?} {want:?}");
        }
    }
}

#[test]
fn what_a_page_can_not_run_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    sandbox.wgrad("export run --web --out web").succeeds();
    let again = sandbox.wgrad("export run --web --out web");
    again.fails(2, &["web", "already exists", "--overwrite"]);
    sandbox
        .wgrad("export run --web --out web --overwrite")
        .succeeds();
    sandbox.write(
        "rows.csv",
        "a,b,label\n1,2,x\n2,1,y\n1,3,x\n3,1,y\n1,4,x\n4,1,y\n2,4,x\n4,2,y\n",
    );
    sandbox
        .wgrad("train rows.csv --device cpu --epochs 1 --out rows")
        .succeeds();
    let refused = sandbox.wgrad("export rows --web");
    refused.fails(2, &["pictures", "ONNX"]);
    assert!(!sandbox.path("rows/web").exists());
}
