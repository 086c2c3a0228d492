//! An upstream that begins its answer at the sight of a head, and only then reads the body, slowly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// What it reads before it rests.
const PIECE: u64 = 256 * 1024;

/// Serves one request: the head of an answer, then the rest of the request, then the answer. The receiver
/// gets the body of the request.
pub(crate) fn start(answer: &'static [u8]) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let addr = listener.local_addr().expect("a listener has an address");
    let (tell, told) = channel();
    // An error means that the connection is over, and the receiver hears of nothing.
    thread::spawn(move || drop(serve(&listener, answer, &tell)));
    (addr, told)
}

fn serve(listener: &TcpListener, answer: &[u8], tell: &Sender<Vec<u8>>) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n", answer.len())?;
    let mut body = Vec::new();
    while body.len() < length {
        thread::sleep(Duration::from_millis(10));
        let left = u64::try_from(length - body.len()).map_err(io::Error::other)?;
        if (&mut reader).take(left.min(PIECE)).read_to_end(&mut body)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    stream.write_all(answer)?;
    // Without a listener any more, there is nobody to tell.
    tell.send(body).unwrap_or_default();
    Ok(())
}
