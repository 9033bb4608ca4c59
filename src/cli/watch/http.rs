//! Requests and responses of HTTP/1.1 over one connection each, with bounded sizes and times. A server crate would read
//! heads of any length for any time, and start a thread for each connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Time for a request and its response.
const TIME: Duration = Duration::from_secs(5);
/// Largest head of a request in bytes, and most headers.
const LARGEST_HEAD: usize = 8 << 10;
const MOST_HEADERS: usize = 64;
/// Most bytes that are read after the head, and ignored.
const LARGEST_REST: u64 = 64 << 10;

/// The head of a request.
pub(super) struct Request {
    pub method: String,
    pub path: String,
    /// Every `Host` header.
    pub hosts: Vec<String>,
}

/// A response.
pub(super) struct Response {
    /// Code and reason.
    pub status: &'static str,
    pub content_type: &'static str,
    pub body: String,
}

impl Response {
    /// A sentence for a request that is refused.
    pub(super) fn refusal(status: &'static str, sentence: &str) -> Response {
        Response {
            status,
            content_type: "text/plain; charset=utf-8",
            body: format!("{sentence}\n"),
        }
    }
}

/// What every response says: nothing is cached, embedded, guessed or loaded from elsewhere.
const HEADERS: &str = "\
Connection: close\r
Cache-Control: no-store\r
Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
form-action 'none'; frame-ancestors 'none'\r
Cross-Origin-Resource-Policy: same-origin\r
Referrer-Policy: no-referrer\r
X-Content-Type-Options: nosniff\r
Allow: GET, HEAD\r
";

/// Reads a request, and writes the response that `respond` gives, without its body for `HEAD`.
///
/// # Errors
/// If the client ends the connection, or exceeds the time.
pub(super) fn answer(
    stream: TcpStream,
    respond: impl FnOnce(&Request) -> Response,
) -> io::Result<()> {
    let mut connection = Timed {
        stream,
        end: Instant::now() + TIME,
    };
    let (response, with_body) = match read_request(&mut connection)? {
        Ok(request) => (respond(&request), request.method != "HEAD"),
        Err(refusal) => (refusal, true),
    };
    let mut bytes = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{HEADERS}\r\n",
        response.status,
        response.content_type,
        response.body.len()
    );
    if with_body {
        bytes.push_str(&response.body);
    }
    connection.write_all(bytes.as_bytes())?;
    // If unread bytes were left, the system would break the connection off, and the client might lose the response.
    connection.stream.shutdown(Shutdown::Write)?;
    io::copy(&mut connection.take(LARGEST_REST), &mut io::sink())?;
    Ok(())
}

/// The request, or the response that refuses it.
fn read_request(connection: &mut impl Read) -> io::Result<Result<Request, Response>> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    loop {
        let count = connection.read(&mut part)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend(&part[..count]);
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) => return Ok(Ok(Request::from(&request))),
            Ok(httparse::Status::Partial) if head.len() < LARGEST_HEAD => {}
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Ok(Err(Response::refusal(
                    "431 Request Header Fields Too Large",
                    "The request is too large.",
                )));
            }
            Err(_) => {
                return Ok(Err(Response::refusal(
                    "400 Bad Request",
                    "The request is not one of HTTP/1.1.",
                )));
            }
        }
    }
}

impl From<&httparse::Request<'_, '_>> for Request {
    fn from(request: &httparse::Request<'_, '_>) -> Request {
        let headers = request.headers.iter();
        let hosts = headers.filter(|header| header.name.eq_ignore_ascii_case("host"));
        Request {
            method: request.method.unwrap_or_default().to_string(),
            path: request.path.unwrap_or_default().to_string(),
            hosts: hosts
                .map(|header| String::from_utf8_lossy(header.value).into_owned())
                .collect(),
        }
    }
}

/// A connection that can be used until a point in time.
struct Timed {
    stream: TcpStream,
    end: Instant,
}

impl Timed {
    /// The time that is left.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(Some(left)),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
