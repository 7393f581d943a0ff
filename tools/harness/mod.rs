//! What the tools share: a server as a child process, a plain HTTP client, a webhook receiver.
//!
//! Everything stays on loopback, and every child is ended by the handle that started it.
#![allow(dead_code, reason = "each tool uses its part")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take until it answers, or until it is ready. A disk that other programs write
/// to was seen to stand still for 28 seconds: whoever waits for a sync then waits for all of that.
const ANSWERS_WITHIN: Duration = Duration::from_secs(300);

/// A running `evenkeel serve`.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts the program on a free port and waits until it is ready.
    pub(crate) fn start(program: &Path, data: &Path, config: Option<&Path>) -> io::Result<Server> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--listen").arg(address.to_string()).arg("--data").arg(data);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        Server::launch(command, address, &data.with_extension("log"))
    }

    /// Starts a program that listens at `address` and answers `/-/ready`, and waits until it is.
    pub(crate) fn launch(mut command: Command, address: SocketAddr, log: &Path) -> io::Result<Server> {
        let told = std::fs::File::options().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told).spawn()?;
        let mut server = Server { child, address };
        let begun = Instant::now();
        loop {
            if Http::connect(address).and_then(|mut http| http.get("/-/ready")).is_ok_and(|r| r.status == 200) {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}; see {}", log.display())));
            }
            if begun.elapsed() > ANSWERS_WITHIN {
                return Err(io::Error::other("the server is not ready in time"));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process' number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the process to read its configuration again.
    pub(crate) fn reload(&self) -> io::Result<()> {
        Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().map(|_| ())
    }

    /// Asks the process to end, and waits for it.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait().map(|_| ())
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Ends the process as `kill -9` does.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.kill_now()
    }

    /// Ends the process as `kill -9` does, while others hold the handle.
    pub(crate) fn kill_now(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of loopback that nobody listens on.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// The program beside this tool: `target/<profile>/evenkeel`.
pub(crate) fn program() -> io::Result<PathBuf> {
    let tool = std::env::current_exe()?;
    let program = tool.parent().and_then(Path::parent).map(|dir| dir.join("evenkeel"));
    program
        .filter(|path| path.exists())
        .ok_or_else(|| io::Error::other("build the program first: cargo build --release"))
}

/// The program of a name in a directory, or below it in a folder `bin`, however deep a package put it.
pub(crate) fn peer(dir: &Path, name: &str) -> io::Result<PathBuf> {
    let direct = dir.join(name);
    if direct.is_file() {
        return std::fs::canonicalize(direct);
    }
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let unreadable = |error| io::Error::other(format!("{}: {error}", dir.display()));
        for entry in std::fs::read_dir(&dir).map_err(unreadable)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                dirs.push(path);
            } else if path.ends_with(Path::new("bin").join(name)) {
                return std::fs::canonicalize(path);
            }
        }
    }
    Err(io::Error::other(format!("there is no bin/{name} below {}; fill it with tools/peers.sh", dir.display())))
}

/// One kept-alive connection.
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Http {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Http> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
        Ok(Http { stream: BufReader::new(stream) })
    }

    /// Waits so long for each answer.
    pub(crate) fn wait_up_to(&mut self, time: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(time))
    }

    /// Sends a GET.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }

    /// Sends an empty POST.
    pub(crate) fn post(&mut self, path: &str) -> io::Result<Answer> {
        self.send(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").as_bytes())
    }

    /// Sends a form.
    pub(crate) fn form(&mut self, path: &str, form: &str) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.send(head.as_bytes())
    }

    /// Sends a remote-write request.
    pub(crate) fn remote_write(&mut self, body: &[u8]) -> io::Result<Answer> {
        let mut request = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.send(&request)
    }

    fn send(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        let line = read_line(&mut self.stream)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status in {line:?}")))?;
        let body = read_body(&mut self.stream)?;
        Ok(Answer { status, body })
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn read_body(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let (mut length, mut chunked) = (0usize, false);
    loop {
        let line = read_line(stream)?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
    }
    let mut body = Vec::new();
    if !chunked {
        stream.take(length as u64).read_to_end(&mut body)?;
        return Ok(body);
    }
    loop {
        let size = usize::from_str_radix(&read_line(stream)?, 16).map_err(io::Error::other)?;
        stream.take(size as u64).read_to_end(&mut body)?;
        read_line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A message that a receiver took.
pub(crate) struct Message {
    pub(crate) arrived: Instant,
    pub(crate) body: String,
}

/// Listens on loopback and takes webhooks until the process ends.
pub(crate) fn webhook_receiver() -> io::Result<(SocketAddr, mpsc::Receiver<Message>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || take_messages(stream, &sender));
        }
    });
    Ok((address, receiver))
}

fn take_messages(stream: TcpStream, sender: &mpsc::Sender<Message>) {
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    while let Ok(_request) = read_line(&mut stream) {
        let Ok(body) = read_body(&mut stream) else { return };
        let arrived = Instant::now();
        let body = String::from_utf8_lossy(&body).into_owned();
        if sender.send(Message { arrived, body }).is_err() {
            return;
        }
        if stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// Text as a form wants it.
pub(crate) fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// The value at a share of a sorted list.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}
