//! A way to the broker that can be cut.

use std::sync::{Arc, Mutex, PoisonError};

use lapin::uri::AMQPUri;
use tokio::io::copy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on to a broker until they are cut.
pub struct Proxy {
    /// The broker's URL by this way.
    pub url: String,
    answers: watch::Sender<bool>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn to(url: &str) -> Self {
        let mut uri: AMQPUri = url.parse().unwrap();
        let broker = (uri.authority.host.clone(), uri.authority.port);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        uri.authority.host = "127.0.0.1".into();
        uri.authority.port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let (answers, answered) = watch::channel(true);
        let accepting = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    let broker = TcpStream::connect(broker.clone()).await.unwrap();
                    let passing = tokio::spawn(pass(client, broker, answered.clone()));
                    connections
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(passing);
                }
            }
        });
        Self {
            url: uri.to_string(),
            answers,
            connections,
            accepting,
        }
    }

    /// Ends all connections. New ones are taken.
    pub fn cut(&self) {
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.drain(..).for_each(|passing| passing.abort());
        drop(connections);
        self.answers.send_replace(true);
    }

    /// From now on the broker hears, and is not heard, until the next cut.
    pub fn mute(&self) {
        self.answers.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn pass(mut client: TcpStream, mut broker: TcpStream, answered: watch::Receiver<bool>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_broker, mut to_broker) = broker.split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        let mut answered = answered;
        loop {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let count = from_broker.read(&mut buffer).await.unwrap_or(0);
            let _ = answered.wait_for(|answered| *answered).await;
            if count == 0 || to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_broker) => {}
        () = answers => {}
    }
}
