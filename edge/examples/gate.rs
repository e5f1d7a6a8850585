//! `cargo run -p codecrafter-edge --features probes --example gate`: rooms' documents behind the
//! gate, for a driver in another language (`tests/undo`). It reads requests from its input, each a
//! letter, a length in four bytes (the lowest first), and so many bytes; and answers each likewise.
//!
//! | request | answer |
//! |---|---|
//! | `n`, nothing | `n`: there is a new room |
//! | `u`, an update | `t` and what others are told of it, or `r` and why it was refused |
//! | `l`, a state vector | `l` and what somebody lacks who has that |
//! | `v`, nothing | `v` and the room's state vector |
//! | `s`, nothing | `s` and the room's state, as it would be stored |

use std::io::{self, Read, Write};

use codecrafter_edge::probes::Gate;

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut gate = Gate::default();
    let mut head = [0; 5];
    while input.read_exact(&mut head).is_ok() {
        let [request, length @ ..] = head;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        input.read_exact(&mut body)?;
        let (answer, bytes) = match request {
            b'n' => {
                gate = Gate::default();
                (b'n', Vec::new())
            }
            b'u' => match gate.take(&body) {
                Ok(told) => (b't', told),
                Err(why) => (b'r', why.into_bytes()),
            },
            b'l' => (b'l', gate.lacking(&body)),
            b'v' => (b'v', gate.state_vector()),
            b's' => (b's', gate.state()),
            _ => return Err(io::Error::other("an unknown request")),
        };
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        output.write_all(&[answer])?;
        output.write_all(&length.to_le_bytes())?;
        output.write_all(&bytes)?;
        output.flush()?;
    }
    Ok(())
}
