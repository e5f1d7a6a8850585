//! A WebSocket client (RFC 6455) without any extension. It masks with zeros, so that a frame is
//! sent as it is.

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What is heard on a socket.
#[derive(Debug)]
pub struct Ear {
    stream: OwnedReadHalf,
    bytes: Vec<u8>,
    /// Where in `bytes` the next frame begins.
    at: usize,
}

/// What is said on it.
#[derive(Debug)]
pub struct Mouth(OwnedWriteHalf);

/// Opens a socket.
///
/// # Errors
/// If nobody answers, or with anything but an upgrade.
pub async fn open(authority: &str, path: &str) -> Result<(Ear, Mouth)> {
    let mut stream = TcpStream::connect(authority)
        .await
        .with_context(|| authority.to_owned())?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y29kZWNyYWZ0ZXItYmVuYw==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::with_capacity(4096);
    let head = loop {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "closed by {path}");
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    ensure!(
        bytes.starts_with(b"HTTP/1.1 101"),
        "{path} answered {}",
        String::from_utf8_lossy(&bytes)
    );
    let (read, write) = stream.into_split();
    let ear = Ear {
        stream: read,
        bytes,
        at: head,
    };
    Ok((ear, Mouth(write)))
}

impl Ear {
    /// The next message; its bytes are overwritten by the one after it.
    ///
    /// # Errors
    /// When the socket is closed, with the code.
    pub async fn next(&mut self) -> Result<&[u8]> {
        loop {
            if let Some((kind, from, to)) = self.frame()? {
                self.at = to;
                match kind {
                    BINARY => return Ok(&self.bytes[from..to]),
                    // An unanswered ping closes the socket after half a minute; that is longer
                    // than any measurement.
                    PING | PONG => continue,
                    CLOSE => {
                        let code = self.bytes[from..to].first_chunk::<2>();
                        bail!("closed with {}", code.map_or(0, |c| u16::from_be_bytes(*c)))
                    }
                    other => bail!("a frame of the kind {other}"),
                }
            }
            self.bytes.drain(..self.at);
            self.at = 0;
            let read = self.stream.read_buf(&mut self.bytes).await?;
            ensure!(read > 0, "closed without a word");
        }
    }

    /// Whether a whole message is here already.
    pub fn has_more(&self) -> bool {
        matches!(self.frame(), Ok(Some((BINARY, ..))))
    }

    /// Kind and place of the frame that is next, once all of it has come.
    fn frame(&self) -> Result<Option<(u8, usize, usize)>> {
        let rest = &self.bytes[self.at..];
        let [first, second, rest @ ..] = rest else {
            return Ok(None);
        };
        ensure!(first & LAST != 0, "a message in several frames");
        let (length, head) = match second & 0x7f {
            126 => match rest.first_chunk::<2>() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 2),
        };
        let (from, to) = (self.at + head, self.at + head + usize::try_from(length)?);
        Ok((to <= self.bytes.len()).then_some((first & 0x0f, from, to)))
    }
}

impl Mouth {
    /// Says what [`append`] has put together.
    ///
    /// # Errors
    /// If the socket is closed.
    pub async fn say(&mut self, frames: &[u8]) -> Result<()> {
        Ok(self.0.write_all(frames).await?)
    }
}

/// Appends `message` as a frame.
pub fn append(frames: &mut Vec<u8>, message: &[u8]) {
    frames.push(LAST | BINARY);
    if let Ok(short @ 0..126) = u8::try_from(message.len()) {
        frames.push(MASKED | short);
    } else if let Ok(length) = u16::try_from(message.len()) {
        frames.push(MASKED | 126);
        frames.extend(length.to_be_bytes());
    } else {
        frames.push(MASKED | 127);
        frames.extend((message.len() as u64).to_be_bytes());
    }
    frames.extend([0; 4]);
    frames.extend(message);
}

/// `message` as a frame.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(message.len() + 14);
    append(&mut frames, message);
    frames
}
