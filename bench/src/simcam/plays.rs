//! Who plays what and for how long, as the cameras themselves see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gstreamer_rtsp_server::RTSPServer;
use gstreamer_rtsp_server::prelude::*;
use parking_lot::Mutex;

/// One client that plays one path.
#[derive(Clone, Debug)]
pub struct Play {
    /// Path of the URL, with its leading slash.
    pub path: String,
    /// When the camera began to send.
    pub began: Instant,
    /// When the client was gone.
    pub ended: Option<Instant>,
    client: usize,
}

/// All plays of a server; clones share them.
#[derive(Clone, Default)]
pub(super) struct Plays(Arc<Mutex<Vec<Play>>>);

impl Plays {
    /// Notes every play of this server from now on.
    pub(super) fn watch(&self, server: &RTSPServer) {
        let (plays, n_clients) = (self.clone(), AtomicUsize::new(0));
        server.connect_client_connected(move |_server, client| {
            let nth = n_clients.fetch_add(1, Ordering::SeqCst);
            let (begun, ended) = (plays.clone(), plays.clone());
            client.connect_play_request(move |_client, context| {
                let Some(url) = context.uri() else { return };
                let path = path_of(&url.request_uri());
                begun.0.lock().push(Play { path, began: Instant::now(), ended: None, client: nth });
            });
            client.connect_closed(move |_client| {
                let mut plays = ended.0.lock();
                let own = plays.iter_mut().filter(|play| play.client == nth);
                own.for_each(|play| play.ended = Some(Instant::now()));
            });
        });
    }

    /// Those so far, in the order in which they began.
    pub(super) fn all(&self) -> Vec<Play> {
        self.0.lock().clone()
    }
}

fn path_of(url: &str) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("/{}", path.trim_end_matches('/'))
}
