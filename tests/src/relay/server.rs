//! The servers that are compared, and how one gets into a room of theirs.

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use codecrafter_shared::api::CreateSession;
use codecrafter_shared::limits::{ROOM_SOCKETS_PER_USER_MAX, ROOMS_PER_LOGIN_SESSION_MAX};
use codecrafter_shared::role::Role;

use crate::client::Client;
use crate::world::World;

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Our edge.
    Ours,
    /// The server of y-websocket 2.
    YWebsocket,
    /// Hocuspocus 4.
    Hocuspocus,
}

/// A server that runs.
pub struct Server {
    /// Which.
    pub kind: Kind,
    /// Host and port.
    pub authority: String,
    /// Its process.
    pub pid: u32,
    /// For ours: the deployment, and the people whose sockets they are now.
    world: Option<(World, Vec<Client>)>,
    rooms: usize,
}

/// A place in a room.
#[derive(Debug, Clone)]
pub struct Seat {
    /// What its socket asks for.
    pub path: String,
    /// The room's name where every message begins with it.
    pub prefix: Option<String>,
}

/// People that the sockets of ours are of: a room takes ten sockets of each. After as many rooms as
/// one may be in, others come.
const PEOPLE: usize = 20;

impl Server {
    /// The server at `url`. Ours needs its `secret`, and makes accounts.
    ///
    /// # Errors
    /// If the accounts cannot be made.
    pub async fn new(kind: Kind, url: &str, secret: &str, pid: u32) -> Result<Self> {
        let authority = url.strip_prefix("http://").context("http:// is missing")?;
        let mut world = None;
        if kind == Kind::Ours {
            world = Some((World::new(url, secret)?, Vec::new()));
        }
        Ok(Self {
            kind,
            authority: authority.to_owned(),
            pid,
            world,
            rooms: 0,
        })
    }

    /// A new room with so many seats, at most ten for each of the people.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn room(&mut self, seats: usize) -> Result<Vec<Seat>> {
        self.rooms += 1;
        let number = self.rooms;
        let name = format!("room-{number}");
        let Some((of_ours, people)) = &mut self.world else {
            let seat = match self.kind {
                Kind::Hocuspocus => Seat {
                    path: "/".into(),
                    prefix: Some(name),
                },
                _ => Seat {
                    path: format!("/{name}"),
                    prefix: None,
                },
            };
            return Ok(vec![seat; seats]);
        };
        if number % ROOMS_PER_LOGIN_SESSION_MAX as usize == 1 {
            people.clear();
            for _ in 0..PEOPLE {
                people.push(of_ours.user().await?);
            }
        }
        // Fewer than are allowed, so that each has a socket more often than not.
        let people: Vec<&Client> = (0..seats.div_ceil(ROOM_SOCKETS_PER_USER_MAX).max(5.min(seats)))
            .map(|n| &people[(number + n) % people.len()])
            .collect();
        let session = people[0]
            .create_session(&CreateSession {
                title: name,
                language: "rust".into(),
                is_public: Some(true),
                join_role: Some(Role::Editor),
                max_participants: Some(50),
                ..Default::default()
            })
            .await?;
        let mut paths = Vec::new();
        for person in &people {
            let joined = person.joined(&session).await?;
            let rooms = joined.room_url.context("no rooms here")?;
            paths.push(format!(
                "{rooms}/{}?token={}",
                session.id, joined.room_token
            ));
        }
        let seat = |n: usize| Seat {
            path: paths[n % paths.len()].clone(),
            prefix: None,
        };
        Ok((0..seats).map(seat).collect())
    }
}
