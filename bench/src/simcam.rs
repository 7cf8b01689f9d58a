//! Simulated cameras: footage in, any number of live RTSP streams out, without encoding anything.
//!
//! A camera never pauses: where its loop stands follows from the time since the server was made, so a client that
//! comes back finds that the street went on. Clients of one path share one stream, RTP timestamps never jump back,
//! and RTCP sender reports give wall time. Faulty cameras are in `faults`.

mod authorization;
mod footage;
mod pacer;
mod plays;

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use gstreamer_rtsp_server::gst_rtsp::RTSPAuthMethod;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::{RTSPAuth, RTSPMediaFactory, RTSPMountPoints, RTSPServer, RTSPToken, glib, gst};

pub use authorization::{authorization, authorization_line};
pub use footage::{Codec, Footage};
use pacer::Pacer;
pub use plays::Play;
use plays::Plays;

/// User and password that every path of a server asks for, by digest.
#[derive(Clone, Debug)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// One camera: a path, what it plays, and how far into the loop it starts.
pub struct Camera {
    /// Path of the URL, with its leading slash.
    pub path: String,
    /// What it plays.
    pub footage: Footage,
    /// Where in the loop it stands at the server's start.
    pub offset: Duration,
}

impl Camera {
    /// `n` cameras `PREFIX/1` to `PREFIX/n` on one piece of footage, spread evenly over the loop.
    pub fn spread(prefix: &str, footage: &Footage, n: usize) -> Vec<Self> {
        let step = footage.duration() / u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        (0..n)
            .map(|index| Self {
                path: format!("{prefix}/{}", index + 1),
                footage: footage.clone(),
                offset: step * u32::try_from(index).unwrap_or(0),
            })
            .collect()
    }
}

/// A running server on loopback; it ends, and hangs up on its clients, when this is dropped.
pub struct SimCam {
    port: u16,
    server: RTSPServer,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    plays: Plays,
    _pacer: Pacer,
}

impl SimCam {
    /// Starts on `port`, or on any free one when it is 0. Without a login the cameras ask for none.
    pub fn start(port: u16, login: Option<&Login>, cameras: Vec<Camera>) -> Result<Self> {
        gst::init().context("GStreamer does not start")?;
        let pacer = Pacer::start();
        let server = RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&port.to_string());
        if let Some(login) = login {
            server.set_auth(Some(&digest(login)));
        }
        let mounts = RTSPMountPoints::new();
        for camera in cameras {
            mounts.add_factory(&camera.path, factory(&camera, &pacer));
        }
        server.set_mount_points(Some(&mounts));
        let plays = Plays::default();
        plays.watch(&server);

        let context = glib::MainContext::new();
        server
            .attach(Some(&context))
            .with_context(|| format!("no RTSP server on 127.0.0.1:{port}; is the port taken?"))?;
        let bound = u16::try_from(server.bound_port()).context("the server has no port")?;
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let thread = std::thread::Builder::new().name("simcam".into()).spawn({
            let main_loop = main_loop.clone();
            move || {
                let run = context.with_thread_default(|| main_loop.run());
                debug_assert!(run.is_ok(), "the loop's context belongs to this thread");
            }
        })?;
        Ok(Self { port: bound, server, main_loop, thread: Some(thread), plays, _pacer: pacer })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path, without credentials.
    pub fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}{path}", self.port)
    }

    /// Every play so far, in the order in which they began.
    pub fn plays(&self) -> Vec<Play> {
        self.plays.all()
    }

    /// Hangs up on every client at once, as a camera does that restarts.
    pub fn hang_up(&self) {
        self.server.client_filter(Some(&mut |_server, _client| gstreamer_rtsp_server::RTSPFilterResult::Remove));
    }
}

impl Drop for SimCam {
    fn drop(&mut self) {
        self.hang_up();
        self.main_loop.quit();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed already.
            let _ = thread.join();
        }
    }
}

const ROLE: &str = "viewer";

fn digest(login: &Login) -> RTSPAuth {
    let auth = RTSPAuth::new();
    auth.set_supported_methods(RTSPAuthMethod::Digest);
    let token = RTSPToken::builder().field("media.factory.role", ROLE).build();
    auth.add_digest(&login.user, &login.password, &token);
    auth
}

fn factory(camera: &Camera, pacer: &Pacer) -> RTSPMediaFactory {
    let factory = RTSPMediaFactory::new();
    factory.set_shared(true);
    factory.set_launch(camera.footage.codec().launch());
    let role = gst::Structure::builder(ROLE)
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    factory.add_role_from_structure(&role);
    let (footage, offset, feeds) = (camera.footage.clone(), camera.offset, pacer.feeds());
    factory.connect_media_configure(move |_factory, media| {
        feeds.add(media, footage.clone(), offset);
    });
    factory
}
