//! As much of AMQP 0-9-1 as it takes to know that a broker lets somebody in: connection negotiation
//! up to `open-ok` (section 2.2.4 of the specification), and no channel.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long a broker of this machine may take for each answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A frame that carries a method, and the byte that ends every frame.
const METHOD: u8 = 1;
const FRAME_END: u8 = 0xCE;

/// More than the methods that are read here can have.
const FRAME_MAX: u32 = 64 * 1024;

/// The account that a new broker has, for connections of its own machine only.
const LOGIN: &[u8] = b"\0guest\0guest";

/// Methods of class `connection`.
const START: u16 = 10;
const START_OK: u16 = 11;
const TUNE: u16 = 30;
const TUNE_OK: u16 = 31;
const OPEN: u16 = 40;
const OPEN_OK: u16 = 41;

/// Signs in as `guest` to the virtual host `/`, which a broker allows when it has wholly started.
pub fn sign_in(port: u16) -> Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut broker = TcpStream::connect_timeout(&address, PATIENCE)?;
    broker.set_read_timeout(Some(PATIENCE))?;
    broker.set_write_timeout(Some(PATIENCE))?;
    broker.write_all(b"AMQP\0\0\x09\x01")?;
    receive(&mut broker, START)?;

    let mut start_ok = 0_u32.to_be_bytes().to_vec();
    start_ok.extend(b"\x05PLAIN");
    start_ok.extend(u32::try_from(LOGIN.len())?.to_be_bytes());
    start_ok.extend(LOGIN);
    start_ok.extend(b"\x05en_US");
    send(&mut broker, START_OK, &start_ok)?;

    // What the broker proposes is agreed to.
    let tune = receive(&mut broker, TUNE)?;
    send(&mut broker, TUNE_OK, &tune)?;
    send(&mut broker, OPEN, b"\x01/\x00\x00")?;
    receive(&mut broker, OPEN_OK).map(drop)
}

fn send(broker: &mut impl Write, method: u16, arguments: &[u8]) -> Result<()> {
    let mut payload = 10_u16.to_be_bytes().to_vec();
    payload.extend(method.to_be_bytes());
    payload.extend(arguments);
    let mut frame = vec![METHOD, 0, 0];
    frame.extend(u32::try_from(payload.len())?.to_be_bytes());
    frame.extend(payload);
    frame.push(FRAME_END);
    Ok(broker.write_all(&frame)?)
}

/// The arguments of the next method, which must be `wanted`.
fn receive(broker: &mut impl Read, wanted: u16) -> Result<Vec<u8>> {
    let mut head = [0; 7];
    broker.read_exact(&mut head).context("no answer in AMQP")?;
    let [kind, _, _, length @ ..] = head;
    let length = u32::from_be_bytes(length);
    ensure!(
        kind == METHOD && length <= FRAME_MAX,
        "an answer in another protocol than AMQP 0-9-1"
    );
    let mut payload = vec![0; usize::try_from(length)? + 1];
    broker.read_exact(&mut payload)?;
    ensure!(
        payload.pop() == Some(FRAME_END),
        "a frame of AMQP without end"
    );
    match payload.split_first_chunk::<4>() {
        Some(([0, 10, high, low], arguments)) if u16::from_be_bytes([*high, *low]) == wanted => {
            Ok(arguments.to_vec())
        }
        _ => bail!("the broker refuses: {}", String::from_utf8_lossy(&payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_was_sent_is_received() -> Result<()> {
        let mut wire = Vec::new();
        send(&mut wire, TUNE, b"\x00\x0a\x00\x02\x00\x00\x00\x3c")?;
        let arguments = receive(&mut wire.as_slice(), TUNE)?;
        assert_eq!(arguments, b"\x00\x0a\x00\x02\x00\x00\x00\x3c");
        Ok(())
    }

    #[test]
    fn another_method_a_cut_frame_and_another_protocol_are_refused() -> Result<()> {
        let mut wire = Vec::new();
        send(&mut wire, 50, b"\x01\x93ACCESS_REFUSED")?;
        let refused = receive(&mut wire.as_slice(), TUNE).map_err(|why| why.to_string());
        assert!(refused.is_err_and(|why| why.contains("ACCESS_REFUSED")));
        assert!(receive(&mut &wire[..9], 50).is_err());
        assert!(receive(&mut b"HTTP/1.1 400 Bad Request\r\n".as_slice(), START).is_err());
        Ok(())
    }
}
